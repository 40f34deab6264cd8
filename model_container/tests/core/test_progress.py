"""How far it is, in words, lines and bars."""

import pytest

from motherfluxer_model.core.progress import Progress, show_seconds

GIB = 2**30


def test_words_tell_share_amount_rate_and_what_is_left() -> None:
    progress = Progress("fetching phi", 4 * GIB, 100.0)
    progress.done = GIB
    assert progress.words(110.0) == "25%, 1.0 GiB / 4.0 GiB, 102 MiB/s, 30 s left"


def test_unknown_total_promises_nothing() -> None:
    progress = Progress("fetching phi", 0, 0.0)
    progress.done = 2 * GIB
    assert progress.words(2.0) == "2.0 GiB, 1.0 GiB/s"
    assert progress.share == 0.0


def test_beginning_makes_no_forecast() -> None:
    progress = Progress("fetching phi", GIB, 0.0)
    progress.done = 1
    assert "left" not in progress.words(5.0)


def test_lines_come_each_tenth_but_not_more_than_one_a_second() -> None:
    progress = Progress("loading phi", 100, 0.0, is_bytes=False)
    lines = []
    for tick in range(1, 101):
        progress.done = tick
        if (line := progress.take_line(tick / 10)) is not None:
            lines.append(line)
    assert len(lines) == 10
    assert lines[0] == "loading phi: 10%, 10 of 100, 9 s left"


def test_lines_come_each_ten_seconds_when_it_is_slow() -> None:
    progress = Progress("fetching phi", GIB, 0.0)
    due = [second for second in range(60) if progress.take_line(float(second)) is not None]
    assert due == [10, 20, 30, 40, 50]


def test_bar_is_one_line_of_its_share() -> None:
    progress = Progress("loading phi", 4, 0.0, is_bytes=False)
    progress.done = 2
    assert progress.bar(1.0).startswith("loading phi [########........] 50%")
    progress.done = 9
    assert progress.share == 1.0


def test_end_tells_amount_and_time() -> None:
    progress = Progress("fetching phi", GIB, 0.0)
    progress.done = GIB
    assert progress.end_words(75.0) == "fetching phi: done (1.0 GiB) in 1 min 15 s"


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.4, "0 s"), (59.0, "59 s"), (61, "1 min 1 s"), (7320, "2 h 2 min")]
)
def test_times_are_said_for_people(seconds: float, words: str) -> None:
    assert show_seconds(seconds) == words
