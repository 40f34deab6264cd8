"""Figures of speed, and the advice that follows from them."""

import pytest

from motherfluxer_model.core.speed import (
    Level,
    Sample,
    advise,
    choose_levels,
    draw_table,
    summarise,
)


def level(concurrency: int, tokens_per_s: float, first_s: float = 0.1) -> Level:
    return Level(concurrency, 1.0, int(tokens_per_s), tokens_per_s, first_s, first_s, 1, 0)


def test_level_sums_up_whole_broken_and_failed_answers() -> None:
    samples = [
        Sample(0.0, 1.0, tokens=10, is_whole=True),
        Sample(0.0, 3.0, tokens=6),
        Sample(1.0, failure="engine_error: broke"),
    ]
    summed = summarise(3, samples, 4.0)
    assert summed.tokens_per_s == 4.0
    assert summed.each_tokens_per_s == pytest.approx(4 / 3)
    assert (summed.first_token_s, summed.worst_first_token_s) == (2.0, 3.0)
    assert (summed.answers, summed.failures) == (1, 1)


def test_level_without_any_token_has_no_waits() -> None:
    summed = summarise(1, [Sample(0.0)], 0.0)
    assert (summed.tokens_per_s, summed.first_token_s) == (0.0, None)
    assert "-" in draw_table([summed])


def test_table_stands_in_columns() -> None:
    head, *rows = draw_table([level(1, 9.0), level(16, 1234.5, 12.3)]).splitlines()
    assert "tokens/s" in head
    assert {len(row) for row in (head, *rows)} == {len(head)}
    assert "1,234.5" in rows[1]
    assert "12,300 ms" in rows[1]


@pytest.mark.parametrize(
    ("most", "levels"), [(1, [1]), (4, [1, 2, 4]), (6, [1, 2, 4, 6]), (16, [1, 2, 4, 8, 16])]
)
def test_levels_double_up_to_the_most(most: int, levels: list[int]) -> None:
    assert choose_levels(most) == levels


@pytest.mark.parametrize(
    ("levels", "slots", "words"),
    [
        ([level(1, 2.1)], 1, "2.1 tokens/s for each of 1 readers"),
        ([level(4, 90.0, 14.0)], 4, "the first token takes 14 s"),
        ([level(4, 100.0), level(16, 300.0)], 4, "--slots 16 gives 3.0 x"),
        ([level(1, 100.0), level(4, 60.0)], 4, "--slots 1 gives 1.7 x"),
    ],
)
def test_what_could_be_better_is_said(levels: list[Level], slots: int, words: str) -> None:
    assert any(words in advice for advice in advise(levels, slots))


@pytest.mark.parametrize(
    "levels",
    [
        [],
        [level(1, 100.0), level(4, 400.0)],
        [level(4, 100.0), level(8, 110.0)],
        [level(4, 30.0), level(64, 90.0)],
    ],
)
def test_what_is_well_or_would_make_readers_wait_is_not_advised(levels: list[Level]) -> None:
    assert advise(levels, 4) == []
