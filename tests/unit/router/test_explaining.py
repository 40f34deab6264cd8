"""What the page "Why this instance?" makes of a decision."""

from datetime import timedelta

import pytest
from msgspec.structs import replace

from apps.router.core import events
from apps.router.core.effects import RecordDecision
from apps.router.core.selection.rules import RULES
from apps.router.core.settings import CoreSettings
from apps.router.core.values import (
    AttemptOutcome,
    Decision,
    Health,
    RuledOut,
    ServedModel,
    ServiceClass,
)
from apps.router.explaining import attempt_explained, bars_add
from apps.router.records.attempts import Attempt, attempts_of
from apps.router.records.entries import DecisionEntry, Recorded, entry_of
from apps.router.templatetags.router_words import duration, per_minute
from apps.router.words import CLASSES, OUTCOMES, REASONS, health_words, rule_words
from tests.unit.router.core.test_step import Table
from tests.unit.router.records.samples import BEGUN, decision, ended

SETTINGS = CoreSettings()


def attempt(made: Decision, *, has_ended: bool = True) -> Attempt:
    entries = [entry_of(Recorded(BEGUN, made))]
    if has_ended:
        entries.append(entry_of(Recorded(BEGUN + timedelta(seconds=2), ended(made.job_id))))
    [found] = attempts_of(entries)
    return found


def test_every_value_of_the_core_has_its_words() -> None:
    assert set(REASONS) == set(RuledOut)
    assert set(OUTCOMES) == set(AttemptOutcome)
    assert set(CLASSES) == set(ServiceClass)
    assert list(health_words(SETTINGS)) == list(Health)
    assert len({rule_words(rule.name, SETTINGS) for rule in RULES.values()}) == len(RULES)


def test_only_the_winner_is_chosen_where_two_have_one_name() -> None:
    told = attempt_explained(attempt(decision("j1")), SETTINGS)
    assert [row["name"] for row in told["table"]] == ["Ünit", "Ünit"]
    verdicts = [(row["is_winner"], row["verdict"]) for row in told["table"]]
    assert verdicts == [(True, "chosen"), (False, "had no free slot")]
    assert told["is_alias"]
    assert told["ended"]["words"] == "the answer was complete"
    assert (told["ended"]["tokens"], told["ended"]["took_s"]) == (7, 2.0)


def test_attempt_that_runs_has_no_end() -> None:
    assert attempt_explained(attempt(decision("j1"), has_ended=False), SETTINGS)["ended"] is None


def test_unlisted_winner_is_told() -> None:
    entry = entry_of(Recorded(BEGUN, decision("j1")))
    assert isinstance(entry, DecisionEntry)
    made = replace(entry.decision, winner_index=None, unlisted=40)
    told = attempt_explained(Attempt(BEGUN, made), SETTINGS)
    assert not told["is_winner_listed"]
    assert "chosen" not in {row["verdict"] for row in told["table"]}


def test_parts_of_a_score_of_another_rule_are_not_made_up() -> None:
    told = attempt_explained(attempt(decision("j1")), SETTINGS)
    assert {row["score_parts"] for row in told["table"]} == {None}
    bars_add([told])
    assert told["table"][0]["bar"] == [{"key": "score", "x": "0.00", "width": "100.00"}]
    assert told["bar_parts"] == {"score": "score"}


def measured_decision() -> Decision:
    """Let the real core learn of two instances, see one fail, and decide."""
    table = Table()
    model = ServedModel("tiny", 4096, 512, can_continue=True)
    for name in ("quick", "slow"):
        table.join(name, model=model, slots=4)
        table.do(events.HeartbeatReceived(name, (), 4))
    for number in range(12):
        job_id = f"learn{number}"
        table.submit(job_id, prompt_tokens=100)
        session = table.state.jobs[job_id].session or ""
        pace = 0.01 if session == "quick" else 0.05
        for tokens in (1, 20, 40):
            table.now += pace * 20
            table.do(events.JobProgressed(job_id, 1, tokens))
        table.do(events.AttemptDone(session, job_id, 1, "stop", 100, 40))
    table.now += 1
    table.submit("busy", prompt_tokens=100)
    found = table.do(events.JobSubmitted("j1", "user:1", ServiceClass.DEMO, prompt_tokens=300))
    [made] = [effect.decision for effect in found if isinstance(effect, RecordDecision)]
    return made


def test_parts_of_the_shipped_rules_scores_add_up() -> None:
    told = attempt_explained(attempt(measured_decision()), SETTINGS)
    for row in told["table"]:
        assert sum(row["score_parts"].values()) == pytest.approx(row["score"], abs=2e-3)
        assert row["score_parts"]["first_token"] > 0
        assert row["score_parts"]["writing"] > 0
    bars_add([told])
    widths = [sum(float(piece["width"]) for piece in row["bar"]) for row in told["table"]]
    assert max(widths) == pytest.approx(100, abs=0.5)
    assert widths == sorted(widths)
    assert "first token" in told["bar_parts"].values()


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, "not measured"),
        (0.0, "0 ms"),
        (0.0042, "4.2 ms"),
        (0.25, "250 ms"),
        (0.9999, "1.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (119.4, "119 s"),
        (180, "3 min"),
        (7200, "2 h"),
    ],
)
def test_duration_is_as_exact_as_it_is_of_use(seconds: float | None, words: str) -> None:
    assert duration(seconds) == words


def test_rate_is_told_by_the_minute_or_the_hour() -> None:
    assert per_minute(12.0) == "720 a minute"
    assert per_minute(0.05) == "3 a minute"
    assert per_minute(0.001) == "3.6 an hour"
