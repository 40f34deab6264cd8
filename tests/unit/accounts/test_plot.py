"""The plot of usage: bars that stack exactly, a round scale, and no more colours than there are."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.accounts.usage.plot import (
    DAY_WIDTH,
    HEIGHT,
    MOST_SERIES,
    OTHERS,
    plot_of,
    scale_top,
)

FIRST = date(2027, 2, 27)
LAST = date(2027, 3, 1)


@pytest.mark.parametrize(
    ("most", "top"),
    [(0, 20), (20, 20), (21, 30), (41, 50), (51, 60), (61, 80), (81, 100), (100, 100), (101, 200)],
)
def test_the_scale_ends_at_a_number_whose_half_is_round(most: int, top: int) -> None:
    assert scale_top(most) == top


@given(st.integers(0, 2**63))
def test_the_scale_holds_everything_and_is_not_wasted(most: int) -> None:
    top = scale_top(most)
    assert most <= top
    assert top <= max(20, 2 * most)
    assert top % 2 == 0


def test_bars_stand_on_each_other_on_their_day() -> None:
    tokens = {(FIRST, "a"): 10, (LAST, "a"): 50, (LAST, "b"): 50}
    plot = plot_of(tokens, since=FIRST, until=LAST)
    assert plot.ticks == (100, 50, 0)
    assert plot.width == 3 * DAY_WIDTH
    assert plot.days == (FIRST, date(2027, 2, 28), LAST)
    first, foot, head = plot.bars
    assert (first.y, first.height, first.series) == (900, 100, 0)
    assert (foot.y, foot.height, foot.series) == (500, 500, 0)
    assert (head.y, head.height, head.series) == (0, 500, 1)
    assert first.x < DAY_WIDTH
    assert foot.x == head.x == first.x + 2 * DAY_WIDTH
    assert head.title == "2027-03-01, b: 50 tokens"


def test_the_models_with_most_tokens_have_their_own_colours() -> None:
    tokens = {(FIRST, f"m{number}"): 100 - number for number in range(9)}
    plot = plot_of(tokens, since=FIRST, until=LAST)
    assert [series.name for series in plot.series] == ["m0", "m1", "m2", "m3", "m4", OTHERS]
    assert plot.series[-1].tokens == 95 + 94 + 93 + 92
    assert len(plot.bars) == MOST_SERIES
    assert sum(bar.height for bar in plot.bars) == HEIGHT * sum(tokens.values()) // plot.ticks[0]


def test_a_span_without_use_has_no_bars() -> None:
    plot = plot_of({}, since=FIRST, until=FIRST)
    assert (plot.bars, plot.series, plot.ticks) == ((), (), (20, 10, 0))
    assert plot.days == (FIRST, FIRST, FIRST)


usage = st.dictionaries(
    st.tuples(
        st.integers(0, 89).map(lambda ago: LAST - timedelta(days=ago)),
        st.sampled_from([f"m{number}" for number in range(9)]),
    ),
    st.integers(0, 10**15),
)


@given(usage)
def test_whatever_was_used_every_token_is_drawn_inside_and_none_twice(
    tokens: dict[tuple[date, str], int],
) -> None:
    plot = plot_of(tokens, since=LAST - timedelta(days=89), until=LAST)
    assert sum(series.tokens for series in plot.series) == sum(tokens.values())
    heights: dict[int, int] = {}
    for bar in plot.bars:
        assert bar.x >= 0
        assert bar.x + bar.width <= plot.width
        assert 0 <= bar.y <= bar.y + bar.height <= HEIGHT
        assert 0 <= bar.series < len(plot.series)
        assert bar.y + bar.height == HEIGHT - heights.get(bar.x, 0)  # right on the one below
        heights[bar.x] = heights.get(bar.x, 0) + bar.height
