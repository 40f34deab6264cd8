"""Waiting before the next try: exponential, with full jitter, and at once after a restart."""

import pytest

from motherfluxer_model.core.backoff import Backoff, parse_retry_after


def test_ceiling_doubles_from_half_a_second_to_thirty() -> None:
    ceilings = []
    backoff = Backoff()
    for _ in range(9):
        ceilings.append(backoff.ceiling_s)
        backoff = backoff.failed()
    assert ceilings == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]


@pytest.mark.parametrize("draw", [0.0, 0.5, 0.999])
def test_wait_is_any_part_of_the_ceiling(draw: float) -> None:
    assert Backoff(failures=2).wait_s(draw) == pytest.approx(draw * 2)


def test_restarting_router_is_dialled_again_within_100_ms() -> None:
    backoff = Backoff(failures=7).closed(1012)
    assert backoff.wait_s(0.999) < 0.1
    assert backoff.failed().ceiling_s == 0.5


def test_connection_that_worked_ends_the_series_of_failures() -> None:
    assert Backoff(failures=7).closed(1006) == Backoff()


@pytest.mark.parametrize("code", [1013, 4000])
def test_router_that_complains_is_given_more_and_more_time(code: int) -> None:
    once = Backoff().closed(code)
    assert once.closed(code).ceiling_s > once.ceiling_s > 0.5


def test_retry_after_is_honoured_and_bounded() -> None:
    assert Backoff().failed(7.0).wait_s(0.0) == 7.0
    assert Backoff().failed(1e9).wait_s(0.0) == 3600.0


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, 0),
        ("", 0),
        ("7", 7),
        (" 30 ", 30),
        ("soon", 0),
        ("-1", 0),
        ("Thu, 01 Jan 1970 00:01:40 GMT", 90),
        ("Thu, 01 Jan 1970 00:00:01 GMT", 0),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str | None, seconds: float) -> None:
    assert parse_retry_after(value, now_s=10) == seconds
