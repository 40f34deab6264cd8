"""Lays out tokens by day and model as stacked bars. Pure.

The drawing's unit is a thousandth of its height, and its width that of all days; the page stretches
it to the room that there is.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

HEIGHT: Final = 1000
DAY_WIDTH: Final = 100
_BAR_WIDTH: Final = 76
# As many colours as eyes tell apart beside each other; the rest is one.
MOST_SERIES: Final = 6
OTHERS: Final = "other models"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One model's tokens on one day; `series` tells its colour."""

    x: int
    y: int
    width: int
    height: int
    series: int
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """What one colour stands for."""

    number: int
    name: str
    tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """All that is drawn. `ticks`: the top, the middle and the foot of the scale."""

    width: int
    height: int
    bars: tuple[Bar, ...]
    series: tuple[Series, ...]
    ticks: tuple[int, int, int]
    days: tuple[date, date, date]

    @property
    def lines(self) -> str:
        """The path of a line at each tick."""
        return "".join(f"M0 {y}H{self.width}" for y in (0, self.height // 2, self.height))


def plot_of(tokens: Mapping[tuple[date, str], int], *, since: date, until: date) -> Plot:
    """Lay out the tokens by day and model of all days from the first to the last."""
    series = _series_of(tokens)
    number_of = {one.name: one.number for one in series}
    stacks: dict[date, dict[int, int]] = {}
    for (day, model), figure in tokens.items():
        stack = stacks.setdefault(day, {})
        number = number_of.get(model, number_of.get(OTHERS, 0))
        stack[number] = stack.get(number, 0) + figure
    top = scale_top(max((sum(stack.values()) for stack in stacks.values()), default=0))
    names = {one.number: one.name for one in series}
    bars = tuple(
        bar for day in sorted(stacks) for bar in _bars_of(day, stacks[day], since, top, names)
    )
    days = (until - since).days + 1
    return Plot(
        width=days * DAY_WIDTH,
        height=HEIGHT,
        bars=bars,
        series=series,
        ticks=(top, top // 2, 0),
        days=(since, since + timedelta(days=days // 2), until),
    )


def scale_top(most: int) -> int:
    """Return the least number that is no less and whose half is a round one, at least 20."""
    power = 10
    while most > 10 * power:
        power *= 10
    return next(step * power for step in (2, 3, 4, 5, 6, 8, 10) if step * power >= most)


def _series_of(tokens: Mapping[tuple[date, str], int]) -> tuple[Series, ...]:
    """Give the models with most tokens a colour each, and one to all others."""
    sums: dict[str, int] = {}
    for (_, model), figure in tokens.items():
        sums[model] = sums.get(model, 0) + figure
    ranked = sorted(sums.items(), key=lambda item: (-item[1], item[0]))
    if len(ranked) > MOST_SERIES:
        kept, rest = ranked[: MOST_SERIES - 1], ranked[MOST_SERIES - 1 :]
        ranked = [*kept, (OTHERS, sum(figure for _, figure in rest))]
    return tuple(
        Series(number=number, name=name, tokens=figure)
        for number, (name, figure) in enumerate(ranked)
    )


def _bars_of(
    day: date, stack: Mapping[int, int], since: date, top: int, names: Mapping[int, str]
) -> Iterable[Bar]:
    """Stack a day's bars from the foot up; rounding leaves no gap between two."""
    x = (day - since).days * DAY_WIDTH + (DAY_WIDTH - _BAR_WIDTH) // 2
    below = 0
    for number, figure in sorted(stack.items()):
        foot, head = (HEIGHT * part // top for part in (below, below + figure))
        below += figure
        yield Bar(
            x=x,
            y=HEIGHT - head,
            width=_BAR_WIDTH,
            height=head - foot,
            series=number,
            title=f"{day.isoformat()}, {names[number]}: {figure:,} tokens",
        )
