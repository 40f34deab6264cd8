"""The minutes in which a key's requests are counted."""

import asyncio

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from apps.api.request_limits import Quota, RequestCounter


class Counters:
    """Counters without an end."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.calls = 0
        self.is_away = False

    async def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Add to a counter."""
        self.calls += 1
        await asyncio.sleep(0)
        if self.is_away:
            raise RedisConnectionError("away")
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
    first = await take(counter, "key", 5)
    assert first.used == 1
    clock.now += first.resets_in_s - 1
    last = await take(counter, "key", 5)
    assert (last.used, last.resets_in_s) == (2, 1)
    clock.now += 1
    fresh = await take(counter, "key", 5)
    assert (fresh.used, fresh.resets_in_s) == (1, 60)


async def test_keys_are_counted_by_themselves_and_not_all_from_one_moment() -> None:
    counter = RequestCounter(Counters(), clock=Clock())
    quotas = [await take(counter, f"key-{n}", 5) for n in range(50)]
    assert {quota.used for quota in quotas} == {1}
    assert len({quota.resets_in_s for quota in quotas}) > 10


async def take(counter: RequestCounter, key_id: str, limit: int) -> Quota:
    quota = await counter.take(key_id, limit)
    assert quota is not None
    return quota


def is_through(quota: Quota) -> bool:
    return quota.used <= quota.limit


async def test_who_cannot_be_reached_is_left_alone_for_a_while() -> None:
    counters, clock = Counters(), Clock()
    counter = RequestCounter(counters, clock=clock)
    counters.is_away = True
    assert await asyncio.gather(*(counter.take("key", 1) for _ in range(5))) == [None] * 5
    assert counters.calls == 1
    counters.is_away = False
    assert await counter.take("other", 1) is None
    clock.now += 5
    assert is_through(await take(counter, "key", 1))
    assert not is_through(await take(counter, "key", 1))


async def test_a_limit_is_exact_and_seldom_asked_for() -> None:
    counters = Counters()
    counter = RequestCounter(counters, clock=Clock())
    for used in range(1, 601):
        assert (await take(counter, "key", 600)).used == used
    assert not is_through(await take(counter, "key", 600))
    assert counters.calls < 150
    asked = counters.calls
    assert not is_through(await take(counter, "key", 600))
    assert counters.calls == asked  # who is refused costs nothing


@pytest.mark.parametrize("limit", [1, 5, 64, 600])
async def test_processes_together_let_no_more_through_and_hardly_less(limit: int) -> None:
    counters, clock = Counters(), Clock()
    processes = [RequestCounter(counters, clock=clock) for _ in range(4)]
    asked = [take(process, "key", limit) for _ in range(limit) for process in processes]
    through = sum(is_through(quota) for quota in await asyncio.gather(*asked))
    assert through == limit
    others = [RequestCounter(counters, clock=clock) for _ in range(3)]
    for other in others:  # each takes a share that nobody comes for
        await other.take("idle", limit)
    left = [await take(processes[0], "idle", limit) for _ in range(limit)]
    least = limit - 3 - 3 * (limit // 32)
    assert least <= sum(map(is_through, left)) <= max(0, limit - 3)


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
