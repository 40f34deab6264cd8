"""Writes what `docs/routing.md` shows of the router's own figures: tables, an example, pictures.

    python -m benchmarks.routing_docs

A test fails when the page and the code differ.
"""

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import fields
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from apps.router.core import dispatch, figures, health, instances, speed
from apps.router.core.selection import soonest
from apps.router.core.selection.rules import RULES
from apps.router.core.settings import CoreSettings
from benchmarks.routing_courses import example_decision, pictures

ROOT: Final = Path(__file__).resolve().parents[1]
PAGE: Final = ROOT / "docs" / "routing.md"
IMAGES: Final = ROOT / "docs" / "img"
_UNITS: Final = {
    "silent_heartbeats": "heartbeats",
    "lost_after_heartbeats": "heartbeats",
    "deviations": "standard deviations",
    "learned_samples": "samples",
    "failures_to_eject": "failures",
    "ejection_jitter": "share",
    "ejected_share": "share",
    "probation_answers": "answers",
    "slow_enter": "times",
    "slow_leave": "times",
    "max_attempts": "attempts",
    "max_queued_per_class": "jobs",
    "trickle_every": "assignments",
    "input_weight": "per token",
    "output_weight": "per token",
    "max_running_per_user": "jobs",
    "rule": "",
    "seed": "",
}
_SUFFIXES: Final = {"_s": "s", "_tokens": "tokens", "_count": ""}


def sections() -> dict[str, str]:
    """Return the generated parts of the page by their marks."""
    return {
        "rules": _rules(),
        "decision": _decision(),
        "health": _health(),
        "settings": _settings(),
        "constants": _constants(),
    }


def page_with(page: str, parts: dict[str, str]) -> str:
    """Put the parts between their marks. Raises ValueError for a mark that isn't there."""
    for name, text in parts.items():
        marked = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->\n)", re.DOTALL)
        found = marked.search(page)
        if found is None:
            raise ValueError(f"no marks for {name}")
        page = f"{page[: found.end(1)]}\n{text}\n\n{page[found.start(2) :]}"
    return page


def main() -> None:
    """Write the page and the pictures."""
    PAGE.write_text(page_with(PAGE.read_text(), sections()))
    for name, picture in pictures().items():
        (IMAGES / name).write_text(picture)
    print(f"{PAGE.relative_to(ROOT)} and {len(pictures())} pictures")


def _table(headings: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [headings, tuple("---" for _ in headings), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _rules() -> str:
    rows = []
    for name, rule in RULES.items():
        words = (type(rule).__doc__ or "").partition("\n")[0]
        rows.append((f"`{name}`", rule.name.partition("/")[2], words))
    return _table(("rule", "version", "takes"), rows)


def _decision() -> str:
    rows = []
    found = example_decision()
    for one in found.candidates:
        verdict = one.ruled_out.value if one.ruled_out else "could have it"
        if one.session == found.winner_session:
            verdict = "**chosen**"
        first, token, score = (
            "" if value is None else f"{value:.3f}"
            for value in (one.first_token_s, one.token_s, one.score)
        )
        rows.append(
            (
                one.name,
                one.health.value,
                f"{one.open_jobs} of {one.slots}",
                first,
                token,
                str(one.held_tokens),
                f"{one.recent_failures:.2f}",
                score,
                verdict,
            )
        )
    headings = (
        "instance",
        "health",
        "open jobs",
        "first token, s",
        "per token, s",
        "held tokens",
        "recent failures",
        "score",
        "verdict",
    )
    return _table(headings, rows)


def _health() -> str:
    rows = []
    for old, followers in instances.TRANSITIONS.items():
        # In the order of the enum: a set has none.
        following = ", ".join(new.value for new in type(old) if new in followers)
        rows.append((old.value, following))
    return _table(("from", "may become"), rows)


def _settings() -> str:
    reasons = dict(_reasons(CoreSettings.__doc__ or ""))
    defaults = CoreSettings()
    rows = []
    for one in fields(CoreSettings):
        value = _value(getattr(defaults, one.name))
        rows.append((f"`{one.name}`", value, _unit(one.name), reasons[one.name]))
    return _table(("setting", "value", "unit", "reason"), rows)


def _reasons(docstring: str) -> Iterator[tuple[str, str]]:
    """Yield each name of a docstring's list with its words."""
    entry = re.compile(r"^ {8}([a-z_]+(?:, [a-z_]+)*): (.+(?:\n {12}.+)*)", re.MULTILINE)
    for names, words in entry.findall(docstring):
        reason = re.sub(r"\s+", " ", words).rstrip(".")
        for name in names.split(", "):
            yield name, reason


def _unit(name: str) -> str:
    if name in _UNITS:
        return _UNITS[name]
    return next(unit for suffix, unit in _SUFFIXES.items() if name.endswith(suffix))


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}: {one}" for key, one in value.items()) or "none"
    return (
        f"{value:,}" if isinstance(value, int) else f"{value:g}" if value != str(value) else value
    )


def _constants() -> str:
    rows = []
    for module in (soonest, speed, figures, health, dispatch):
        path = Path(module.__file__ or "")
        for name, reason in _documented(path):
            value = getattr(module, name)
            place = path.relative_to(ROOT / "apps/router/core").as_posix()
            rows.append((f"`{name.lstrip('_')}`", _value(value), place, reason))
    return _table(("constant", "value", "in", "reason"), rows)


def _documented(path: Path) -> Iterator[tuple[str, str]]:
    """Yield a module's constants that have words of their own behind them."""
    body = ast.parse(path.read_text()).body
    for one, following in pairwise(body):
        if not isinstance(one, ast.AnnAssign) or not isinstance(one.target, ast.Name):
            continue
        if isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant):
            words = re.sub(r"\s+", " ", str(following.value.value)).rstrip(".")
            yield one.target.id, words


if __name__ == "__main__":
    main()
