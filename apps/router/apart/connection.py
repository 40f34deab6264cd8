"""How processes connect to Redis: every failure is seen at once, and none is retried unseen."""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import Final

from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.connection import Connection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.driver_info import DriverInfo
from redis.exceptions import ConnectionError as AwayError
from redis.exceptions import RedisError
from redis.maint_notifications import MaintNotificationsConfig

CONNECT_WITHIN_S: Final = 2.0
# Made once: the library looks for its version on the disk, which an event loop must not wait for.
_DRIVER: Final = DriverInfo()
# Longer than any command blocks.
ANSWER_WITHIN_S: Final = 5.0
FIRST_PAUSE_S: Final = 0.05
LONGEST_PAUSE_S: Final = 1.0

# Whatever Redis says instead of doing what it was asked: it is away, starting, full, a replica.
AWAY: Final = (RedisError, OSError)


class _FrankPool(ConnectionPool):  # type: ignore[type-arg] # the stubs are older
    """Says that a connection has ended, where the library's own pool may make a new one unseen.

    Whoever writes must know before the next command that Redis may have lost what it had.
    """

    async def ensure_connection(self, connection: Connection) -> None:
        """Connect one that is not; raise redis' ConnectionError when one has ended meanwhile."""
        if not connection.is_connected:
            await connection.connect()
            return
        try:
            if not await connection.can_read():  # type: ignore[attr-defined] # as above
                return
        except AWAY as error:
            await connection.disconnect()
            raise AwayError("the connection has ended") from error
        await connection.disconnect()
        raise AwayError("the connection has ended")


def redis_connect(url: str) -> "Redis[bytes]":
    """Return a client; it connects when it is used."""
    pool = _FrankPool.from_url(
        url,
        socket_connect_timeout=CONNECT_WITHIN_S,
        socket_timeout=ANSWER_WITHIN_S,
        socket_keepalive=True,
        retry=Retry(NoBackoff(), 0),
        driver_info=_DRIVER,
        # On, the pool keeps an ended connection until it is used: seen, but by chance.
        maint_notifications_config=MaintNotificationsConfig(enabled=False),
    )
    client: Redis[bytes] = Redis.from_pool(pool)  # type: ignore[attr-defined] # as above
    return client


@asynccontextmanager
async def redis_connected(url: str) -> AsyncIterator["Redis[bytes]"]:
    """Lend a client and close it."""
    client = redis_connect(url)
    try:
        yield client
    finally:
        await client.aclose()  # type: ignore[attr-defined] # the stubs are older


class Pause:
    """How long to wait before the next try: longer each time, until something works."""

    def __init__(self) -> None:
        self._next_s = FIRST_PAUSE_S

    def next_s(self) -> float:
        """Return the next pause."""
        pause_s, self._next_s = self._next_s, min(2 * self._next_s, LONGEST_PAUSE_S)
        return pause_s

    def over(self) -> None:
        """Begin anew: something works."""
        self._next_s = FIRST_PAUSE_S


def is_cancelled() -> bool:
    """Whether the running task is to end; the library now and then swallows what should end it."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def cancelled(tasks: Collection[asyncio.Task[None]]) -> None:
    """End tasks; ask again those that the library kept from hearing it."""
    while running := [task for task in tasks if not task.done()]:
        for task in running:
            task.cancel()
        await asyncio.wait(running, timeout=0.5)
