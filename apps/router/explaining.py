"""Turns a job's attempts into what the page "Why this instance?" and its JSON tell. Pure."""

from typing import Any, Final

import msgspec

from apps.router.core.selection.soonest import FAILURE_S, LOAD_S, READING, Soonest
from apps.router.core.settings import CoreSettings
from apps.router.records.attempts import Attempt
from apps.router.records.entries import PublicCandidate, PublicDecision
from apps.router.words import CLASSES, OUTCOMES, REASONS, rule_words

# The log rounds recent failures to thousandths.
_ROUNDING_S: Final = FAILURE_S * 0.0005 + 1e-6
_BAR_WIDTH: Final = 100.0
_THINNEST: Final = 0.05

SCORE_PARTS: Final = {
    "first_token": "first token",
    "writing": "writing",
    "failures": "recent failures",
    "load": "open requests",
    "rest": "overdue or far away",
    "score": "score",
}
"""What the summands of a score are called."""


def attempt_explained(attempt: Attempt, settings: CoreSettings) -> dict[str, Any]:
    """Return one attempt: who could have the job, why this one got it, how that ended."""
    decision = attempt.decision
    made: dict[str, Any] = msgspec.to_builtins(decision)
    del made["candidates"], made["winner_index"]
    return {
        **made,
        "made_at": attempt.made_at.isoformat(timespec="milliseconds"),
        "is_alias": decision.asked_model not in (None, decision.model_name),
        "class_words": CLASSES.get(decision.service_class, decision.service_class),
        "rule_words": rule_words(decision.rule, settings),
        "table": _table(decision, settings),
        "is_winner_listed": decision.winner_index is not None,
        "ended": _ended(attempt),
    }


def score_parts(
    candidate: PublicCandidate, rule: str, settings: CoreSettings
) -> dict[str, float] | None:
    """Return what the shipped rule added up, in seconds by the keys of SCORE_PARTS.

    None for another rule, and where these constants do not give the score: a decision of an
    earlier version.
    """
    if rule != Soonest.name or candidate.score is None or not candidate.slots:
        return None
    parts = {
        "first_token": candidate.first_token_s or 0.0,
        "writing": READING * settings.usual_output_tokens * (candidate.token_s or 0.0),
        "failures": FAILURE_S * candidate.recent_failures,
        "load": LOAD_S * candidate.open_jobs / candidate.slots,
    }
    rest = candidate.score - sum(parts.values())
    if rest < -_ROUNDING_S:
        return None
    return {**parts, "rest": rest if rest > _ROUNDING_S else 0.0}


def bars_add(attempts: list[dict[str, Any]]) -> None:
    """Give each row its score as pieces of a bar of 100, numbers as text for SVG's attributes."""
    for attempt in attempts:
        scored = [row for row in attempt["table"] if row["score"] is not None]
        longest = max((row["score"] for row in scored), default=0.0)
        is_drawn = longest > 0 and all(row["score"] >= 0 for row in scored)
        for row in scored if is_drawn else ():
            row["bar"] = _bar(row, longest)
        used = {piece["key"] for row in scored for piece in row.get("bar", ())}
        attempt["bar_parts"] = {key: words for key, words in SCORE_PARTS.items() if key in used}


def _ended(attempt: Attempt) -> dict[str, Any] | None:
    if attempt.ended is None or attempt.ended_at is None:
        return None
    return {
        "ended_at": attempt.ended_at.isoformat(timespec="milliseconds"),
        "took_s": round((attempt.ended_at - attempt.made_at).total_seconds(), 3),
        "outcome": attempt.ended.outcome,
        "words": OUTCOMES.get(attempt.ended.outcome, attempt.ended.outcome),
        "tokens": attempt.ended.tokens,
    }


def _table(decision: PublicDecision, settings: CoreSettings) -> list[dict[str, Any]]:
    """List the winner, then the others by score, then those that could not have the job."""
    rows = [
        _row(one, decision, settings, is_winner=number == decision.winner_index)
        for number, one in enumerate(decision.candidates)
    ]
    return sorted(rows, key=_rank)


def _rank(row: dict[str, Any]) -> tuple[bool, bool, bool, float]:
    score = row["score"]
    return (not row["is_winner"], row["ruled_out"] is not None, score is None, score or 0.0)


def _row(
    candidate: PublicCandidate, decision: PublicDecision, settings: CoreSettings, *, is_winner: bool
) -> dict[str, Any]:
    return {
        **msgspec.to_builtins(candidate),
        "load": round(candidate.open_jobs / candidate.slots, 3) if candidate.slots else None,
        "is_winner": is_winner,
        "verdict": _verdict(candidate, is_winner=is_winner),
        "score_parts": score_parts(candidate, decision.rule, settings),
    }


def _verdict(candidate: PublicCandidate, *, is_winner: bool) -> str:
    if is_winner:
        return "chosen"
    if candidate.ruled_out is not None:
        return REASONS.get(candidate.ruled_out, candidate.ruled_out)
    return "was not looked at" if candidate.score is None else "could have had it"


def _bar(row: dict[str, Any], longest: float) -> list[dict[str, str]]:
    bar, x = [], 0.0
    for key, seconds in (row["score_parts"] or {"score": row["score"]}).items():
        width = _BAR_WIDTH * max(seconds, 0.0) / longest
        if width >= _THINNEST:
            bar.append({"key": key, "x": f"{x:.2f}", "width": f"{width:.2f}"})
        x += width
    return bar
