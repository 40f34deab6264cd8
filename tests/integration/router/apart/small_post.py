"""A post that carries a journal's commands and nothing else, over a Redis that may be away."""

import asyncio
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from apps.router.apart.journal import Journal
from apps.router.live.streams import JobStream


class SmallPost:
    """Writes when the journal has something, and anew when Redis is back."""

    def __init__(self, redis: "Redis[bytes]") -> None:
        self.redis: Any = redis
        self.taken: list[JobStream] = []
        self.journal = Journal(redis=redis, wake=self.wake, on_taken=self.taken.append)
        self.rounds = 0
        self._work = asyncio.Event()
        self._task = asyncio.create_task(self._run())

    def wake(self) -> None:
        """There is something to write."""
        self._work.set()

    async def stop(self) -> None:
        """Write no more, as a process that is killed."""
        while not self._task.done():
            self._task.cancel()  # redis-py may swallow one
            await asyncio.wait({self._task}, timeout=0.1)

    async def _run(self) -> None:
        while True:
            await self._work.wait()
            self._work.clear()
            pipe = self.redis.pipeline(transaction=False)
            self.journal.commands(pipe)
            if not len(pipe):
                continue
            try:
                results = await pipe.execute(raise_on_error=False)
            except RedisError:
                await self._wait_for_redis()
                self.journal.lost()
            else:
                self.rounds += 1
                self.journal.written(results)

    async def _wait_for_redis(self) -> None:
        while True:
            try:
                await self.redis.ping()
            except RedisError:
                await asyncio.sleep(0.02)
            else:
                return
