"""Counts what visitors have taken, in memory or in Redis, in windows that begin with the first."""

import asyncio
import time
from weakref import WeakKeyDictionary

from limits import RateLimitItem
from limits.aio.storage import MemoryStorage, RedisStorage

CounterStorage = MemoryStorage | RedisStorage


class AnswerCounter:
    """Takes and gives back answers of one limit, atomically."""

    def __init__(self, limit: RateLimitItem, redis_url: str | None) -> None:
        self.limit = limit
        self._redis_url = redis_url
        self._memory = MemoryStorage()
        # Redis connections belong to the event loop that opened them.
        self._redis: WeakKeyDictionary[asyncio.AbstractEventLoop, RedisStorage] = (
            WeakKeyDictionary()
        )

    async def take(self, key: str) -> bool:
        """Take one; False when the window is used up."""
        storage, name = self._storage(), self.limit.key_for(key)
        taken = await storage.incr(name, self.limit.get_expiry())
        if taken > self.limit.amount:
            await storage.incr(name, self.limit.get_expiry(), amount=-1)
            return False
        return True

    async def give_back(self, key: str) -> None:
        """Return one of those taken in this window, if any was."""
        storage, name = self._storage(), self.limit.key_for(key)
        if await storage.get(name) > 0:
            await storage.incr(name, self.limit.get_expiry(), amount=-1)

    async def left(self, key: str) -> int:
        """Return how many are left."""
        taken = await self._storage().get(self.limit.key_for(key))
        return max(0, self.limit.amount - taken)

    async def resets_at(self, key: str) -> float:
        """Return when the window ends, in seconds since the epoch; a fresh one has yet to begin."""
        storage, name = self._storage(), self.limit.key_for(key)
        if await storage.get(name) > 0:
            return float(await storage.get_expiry(name))
        return time.time() + self.limit.get_expiry()

    def _storage(self) -> CounterStorage:
        if self._redis_url is None:
            return self._memory
        loop = asyncio.get_running_loop()
        if loop not in self._redis:
            url = self._redis_url.replace("unix://", "redis+unix://", 1)
            self._redis[loop] = RedisStorage(f"async+{url}", implementation="redispy")
        return self._redis[loop]
