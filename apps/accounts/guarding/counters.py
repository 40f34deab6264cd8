"""Counters of wrong guesses: in memory, or in Redis where processes share them."""

from functools import cache
from typing import Protocol

from django.conf import settings
from limits.storage import MemoryStorage, RedisStorage

from apps.redis_clients import redis_patience


class Counters(Protocol):
    """Named counters that expire; each call is atomic, over all processes that share them."""

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Add to a counter and return it; `expiry` seconds count from its first."""
        ...

    def get(self, key: str) -> int:
        """Return a counter, 0 where there is none."""
        ...

    def get_expiry(self, key: str) -> float:
        """Return when a counter ends, in seconds since the epoch."""
        ...

    def clear(self, key: str) -> None:
        """Forget a counter."""
        ...

    def reset(self) -> int | None:
        """Forget them all."""
        ...


@cache
def counters_at(redis_url: str | None) -> Counters:
    """Return the counters in a Redis, or this process's own.

    While that Redis is away nobody may guess: its errors become a 503.
    """
    if redis_url is None:
        return MemoryStorage()
    return RedisStorage(redis_url.replace("unix://", "redis+unix://", 1), **redis_patience())


def shared_counters() -> Counters:
    """Return those that this installation's processes share."""
    return counters_at(settings.REDIS_URL)
