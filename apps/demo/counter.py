"""Counts what visitors have taken, in memory or in Redis, in windows that begin with the first."""

import time
from typing import Protocol

from asgiref.sync import sync_to_async
from limits import RateLimitItem
from limits.aio.storage import MemoryStorage
from limits.storage import RedisStorage


class Counters(Protocol):
    """Named counters that expire; `incr` returns the new count, atomically."""

    async def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Add to a counter and return it; `expiry` seconds count from its first."""
        ...

    async def get(self, key: str) -> int:
        """Return a counter, 0 where there is none."""
        ...

    async def get_expiry(self, key: str) -> float:
        """Return when a counter ends, in seconds since the epoch."""
        ...


class RedisCounters:
    """Counters in Redis.

    The blocking client in threads: its connections outlive event loops, and close by themselves.
    """

    def __init__(self, url: str) -> None:
        storage = RedisStorage(url.replace("unix://", "redis+unix://", 1))
        self.incr = sync_to_async(storage.incr, thread_sensitive=False)
        self.get = sync_to_async(storage.get, thread_sensitive=False)
        self.get_expiry = sync_to_async(storage.get_expiry, thread_sensitive=False)


class AnswerCounter:
    """Takes and gives back answers of one limit, atomically."""

    def __init__(self, limit: RateLimitItem, redis_url: str | None) -> None:
        self.limit = limit
        self._counters: Counters = RedisCounters(redis_url) if redis_url else MemoryStorage()

    async def take(self, key: str) -> bool:
        """Take one; False when the window is used up."""
        name, expiry = self.limit.key_for(key), self.limit.get_expiry()
        if await self._counters.incr(name, expiry) > self.limit.amount:
            await self._counters.incr(name, expiry, amount=-1)
            return False
        return True

    async def give_back(self, key: str) -> None:
        """Return one of those taken in this window, if any was."""
        name = self.limit.key_for(key)
        if await self._counters.get(name) > 0:
            await self._counters.incr(name, self.limit.get_expiry(), amount=-1)

    async def left(self, key: str) -> int:
        """Return how many are left."""
        return max(0, self.limit.amount - await self._counters.get(self.limit.key_for(key)))

    async def resets_at(self, key: str) -> float:
        """Return when the window ends, in seconds since the epoch; a fresh one has yet to begin."""
        name = self.limit.key_for(key)
        if await self._counters.get(name) > 0:
            return float(await self._counters.get_expiry(name))
        return time.time() + self.limit.get_expiry()
