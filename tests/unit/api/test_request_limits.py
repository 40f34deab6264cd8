"""The minutes in which a key's requests are counted."""

import pytest

from apps.api.request_limits import Quota, RequestCounter


class Counters:
    """Counters without an end."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}

    async def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Add to a counter."""
        self.counts[key] = self.counts.get(key, 0) + amount
        return self.counts[key]


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


async def test_a_new_minute_begins_when_it_was_said() -> None:
    clock = Clock()
    counter = RequestCounter(Counters(), clock=clock)
    first = await counter.take("key", 5)
    assert first.used == 1
    clock.now += first.resets_in_s - 1
    last = await counter.take("key", 5)
    assert (last.used, last.resets_in_s) == (2, 1)
    clock.now += 1
    fresh = await counter.take("key", 5)
    assert (fresh.used, fresh.resets_in_s) == (1, 60)


async def test_keys_are_counted_by_themselves_and_not_all_from_one_moment() -> None:
    counter = RequestCounter(Counters(), clock=Clock())
    quotas = [await counter.take(f"key-{n}", 5) for n in range(50)]
    assert {quota.used for quota in quotas} == {1}
    assert len({quota.resets_in_s for quota in quotas}) > 10


@pytest.mark.parametrize(
    ("used", "resets_in_s", "remaining", "reset"),
    [(1, 60, b"4", b"1m0s"), (5, 1, b"0", b"1s"), (9, 59, b"0", b"59s")],
)
def test_headers_are_written_as_openais(
    used: int, resets_in_s: int, remaining: bytes, reset: bytes
) -> None:
    assert Quota(5, used, resets_in_s).headers == [
        (b"x-ratelimit-limit-requests", b"5"),
        (b"x-ratelimit-remaining-requests", remaining),
        (b"x-ratelimit-reset-requests", reset),
    ]
