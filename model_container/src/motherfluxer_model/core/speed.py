"""How fast an engine is at each number of jobs at once, and what follows from it. Pure."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, Final

READING_TOKENS_PER_S: Final = 5.0  # about how fast people read
SLOW_FIRST_TOKEN_S: Final = 10.0
WORTH_IT: Final = 1.25  # more slots should bring at least this much more

_HEADS: Final = ("at once", "tokens/s", "each", "first token", "worst", "answers", "failed")


@dataclass(slots=True)
class Sample:
    """One answer as its reader saw it."""

    asked_s: float
    first_s: float | None = None
    tokens: int = 0
    is_whole: bool = False
    failure: str | None = None


@dataclass(frozen=True, slots=True)
class Level:
    """What so many jobs at once gave."""

    concurrency: int
    seconds: float
    tokens: int
    tokens_per_s: float
    first_token_s: float | None
    worst_first_token_s: float | None
    answers: int
    failures: int

    @property
    def each_tokens_per_s(self) -> float:
        """What one reader gets of it."""
        return self.tokens_per_s / self.concurrency

    def as_dict(self) -> dict[str, Any]:
        """Give the figures by name."""
        return {**asdict(self), "each_tokens_per_s": self.each_tokens_per_s}


def summarise(concurrency: int, samples: Sequence[Sample], seconds: float) -> Level:
    """Sum up the answers of one level, those that were cut off at its end included."""
    waits = [s.first_s - s.asked_s for s in samples if s.first_s is not None]
    tokens = sum(sample.tokens for sample in samples)
    return Level(
        concurrency=concurrency,
        seconds=seconds,
        tokens=tokens,
        tokens_per_s=tokens / seconds if seconds > 0 else 0.0,
        first_token_s=median(waits) if waits else None,
        worst_first_token_s=max(waits, default=None),
        answers=sum(sample.is_whole for sample in samples),
        failures=sum(sample.failure is not None for sample in samples),
    )


def draw_table(levels: Sequence[Level]) -> str:
    """Write the levels as a table for people."""
    rows = [_HEADS, *(_row(level) for level in levels)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADS))]
    lines = [
        "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    ]
    return "\n".join(lines)


def choose_levels(most: int) -> list[int]:
    """Give 1, 2, 4, … up to `most`, and `most` itself."""
    levels = [2**power for power in range(most.bit_length()) if 2**power <= most]
    return levels if levels[-1] == most else [*levels, most]


def advise(levels: Sequence[Level], slots: int) -> list[str]:
    """Say what an operator could do better."""
    if not levels:
        return []
    return [*_advise_speed(levels, slots), *_advise_slots(levels, slots)]


def _advise_speed(levels: Sequence[Level], slots: int) -> list[str]:
    at_slots = min(levels, key=lambda level: abs(level.concurrency - slots))
    each, count = at_slots.each_tokens_per_s, at_slots.concurrency
    advice = []
    if each < READING_TOKENS_PER_S:
        advice.append(
            f"{each:.1f} tokens/s for each of {count} readers: they will wait; take a smaller "
            "model, fewer slots, or --dtype bfloat16 where the processor has it"
        )
    wait_s = at_slots.first_token_s
    if wait_s is not None and wait_s > SLOW_FIRST_TOKEN_S:
        advice.append(f"the first token takes {wait_s:.0f} s at {count} jobs: take fewer slots")
    return advice


def _advise_slots(levels: Sequence[Level], slots: int) -> list[str]:
    fitting = [level for level in levels if level.concurrency <= slots]
    here = max(fitting, key=lambda level: level.concurrency, default=levels[0])
    best = max(levels, key=lambda level: level.tokens_per_s)
    if best.tokens_per_s <= here.tokens_per_s * WORTH_IT or best.concurrency == here.concurrency:
        return []
    gain = best.tokens_per_s / here.tokens_per_s if here.tokens_per_s else 0.0
    if best.concurrency > here.concurrency and best.each_tokens_per_s < READING_TOKENS_PER_S:
        return []
    return [
        f"--slots {best.concurrency} gives {gain:.1f} x the tokens/s of --slots {here.concurrency}"
    ]


def _row(level: Level) -> tuple[str, ...]:
    return (
        str(level.concurrency),
        f"{level.tokens_per_s:,.1f}",
        f"{level.each_tokens_per_s:,.1f}",
        _milliseconds(level.first_token_s),
        _milliseconds(level.worst_first_token_s),
        str(level.answers),
        str(level.failures),
    )


def _milliseconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds * 1000:,.0f} ms"
