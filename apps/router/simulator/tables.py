"""A comparison as a table to read and as data to keep. Pure."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from apps.router.simulator.measures import Measures

_HEADINGS = (
    "rule",
    "first token p50",
    "p95",
    "p99 s",
    "goodput",
    "errors",
    "end to end p99 s",
    "attempts",
    "reuse",
    "decision p99 us",
)


@dataclass(frozen=True, slots=True)
class Cell:
    """One condition at one load, measured under each rule."""

    condition: str
    load: str
    by_rule: dict[str, Measures]


@dataclass(frozen=True, slots=True)
class Standing:
    """How one rule stands against the others over all cells."""

    rule: str
    best_p99: int
    best_goodput: int
    cells: int
    worst_p99_behind: float
    worst_goodput_behind: float


def table(cells: Sequence[Cell]) -> str:
    """Return all cells as Markdown, the best p99 and goodput of each in bold."""
    parts = []
    for cell in cells:
        best_p99 = min(m.all.first_token_s.p99 for m in cell.by_rule.values())
        best_goodput = max(m.all.goodput for m in cell.by_rule.values())
        rows = [_HEADINGS, tuple("---" for _ in _HEADINGS)]
        rows += [_row(rule, m, best_p99, best_goodput) for rule, m in cell.by_rule.items()]
        widths = [max(len(row[n]) for row in rows) for n in range(len(_HEADINGS))]
        lines = (
            "| " + " | ".join(text.ljust(width) for text, width in zip(row, widths, strict=True))
            for row in rows
        )
        title = f"### {cell.condition}, load {cell.load}"
        parts.append("\n".join([title, "", *(f"{line} |" for line in lines)]))
    return "\n\n".join(parts)


def standing(cells: Sequence[Cell], rule: str) -> Standing:
    """Compare a rule with the best of the others in each cell; behind is a share of the best."""
    best_p99 = best_goodput = 0
    p99_behind = goodput_behind = 0.0
    for cell in cells:
        own = cell.by_rule[rule].all
        others = [m.all for name, m in cell.by_rule.items() if name != rule]
        p99 = min(other.first_token_s.p99 for other in others)
        goodput = max(other.goodput for other in others)
        best_p99 += own.first_token_s.p99 <= p99
        best_goodput += own.goodput >= goodput
        p99_behind = max(p99_behind, own.first_token_s.p99 / p99 - 1 if p99 else 0.0)
        goodput_behind = max(goodput_behind, 1 - own.goodput / goodput if goodput else 0.0)
    return Standing(rule, best_p99, best_goodput, len(cells), p99_behind, goodput_behind)


def summary(found: Standing) -> str:
    """Say a standing in words."""
    return (
        f"{found.rule}: best p99 time to first token in {found.best_p99} of {found.cells} cells, "
        f"best goodput in {found.best_goodput}; at worst {found.worst_p99_behind:.1%} and "
        f"{found.worst_goodput_behind:.1%} behind the best."
    )


def as_data(cells: Sequence[Cell]) -> list[dict[str, Any]]:
    """Return all figures, without the single requests."""
    data = []
    for cell in cells:
        rules = {}
        for rule, measures in cell.by_rule.items():
            figures = asdict(measures)
            del figures["first_token_s_sorted"]
            rules[rule] = figures
        data.append({"condition": cell.condition, "load": cell.load, "rules": rules})
    return data


def _row(rule: str, found: Measures, best_p99: float, best_goodput: float) -> tuple[str, ...]:
    whole = found.all
    first = whole.first_token_s
    return (
        rule,
        f"{first.p50:.2f}",
        f"{first.p95:.2f}",
        _marked(f"{first.p99:.2f}", is_best=first.p99 == best_p99),
        _marked(f"{whole.goodput:.4f}", is_best=whole.goodput == best_goodput),
        f"{whole.errors:.4f}",
        f"{whole.end_to_end_s.p99:.1f}",
        f"{found.attempts_per_job:.3f}",
        f"{found.prefix_reuse:.3f}",
        f"{found.decision_p99_us:.0f}",
    )


def _marked(text: str, *, is_best: bool) -> str:
    return f"**{text}**" if is_best else text
