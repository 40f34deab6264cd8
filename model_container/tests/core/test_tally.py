"""The tally: what was answered, how fast, and nothing of what was said."""

import math

from motherfluxer_model.core.answer import Finished, Piece, Refused
from motherfluxer_model.core.tally import Histogram, Tally
from motherfluxer_wire.frames import Timings, Usage


def test_histogram_counts_each_figure_at_its_bound_and_above() -> None:
    histogram = Histogram((1.0, 2.0))
    for value in (0.5, 1.0, 1.5, 9.0):
        histogram.observe(value)
    assert histogram.cumulative() == [(1.0, 2), (2.0, 3), (math.inf, 4)]
    assert (histogram.count, histogram.sum, histogram.mean()) == (4, 12.0, 3.0)
    assert Histogram((1.0,)).mean() is None


def test_first_piece_tells_the_wait_and_the_later_ones_the_time_per_token() -> None:
    tally = Tally()
    watch = tally.begin(10.0)
    assert tally.waiting_count == 1
    tally.piece(watch, Piece("a", 1), 10.5)
    tally.piece(watch, Piece("bcd", 3), 11.1)
    tally.release(watch)
    assert tally.waiting_count == 0
    assert (tally.first_token.count, tally.first_token.sum) == (1, 0.5)
    assert tally.token_gap.count == 3
    assert math.isclose(tally.token_gap.sum, 0.6)
    assert tally.output_tokens == 4


def test_endings_are_counted_by_reason_and_by_code() -> None:
    tally = Tally()
    usage = Usage(prompt_tokens=9, completion_tokens=4, cached_tokens=6)
    tally.end(Finished("stop", usage, Timings(queue_ms=250.0)), 1.0)
    tally.end(Finished("length", Usage(prompt_tokens=1, completion_tokens=1)), 2.0)
    tally.end(Refused("engine_error", "secret words", retryable=True), 3.0)
    assert tally.outcomes == {"stop": 1, "length": 1, "engine_error": 1}
    assert (tally.prompt_tokens, tally.cached_tokens) == (10, 6)
    assert (tally.queue.count, tally.queue.sum) == (1, 0.25)
    assert tally.last_failure is not None
    assert (tally.last_failure.code, tally.last_failure.at_s) == ("engine_error", 3.0)
    assert "secret words" not in repr(tally)


def test_rate_forgets_what_is_over_ten_seconds_old() -> None:
    tally = Tally()
    watch = tally.begin(0.0)
    tally.piece(watch, Piece("a", 20), 1.0)
    assert tally.tokens_per_s(2.0) == 2.0
    assert tally.tokens_per_s(12.0) == 0.0
