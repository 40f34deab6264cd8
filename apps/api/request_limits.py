"""How many requests a key may make in a minute, counted in memory, or in Redis by all processes."""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol
from weakref import WeakKeyDictionary
from zlib import crc32

from django.conf import settings
from limits.aio.storage import MemoryStorage, RedisStorage
from redis.asyncio import BlockingConnectionPool
from redis.exceptions import RedisError

from apps.api.conf import CONF
from apps.api.errors import ApiError
from apps.api.exchange import Exchange
from apps.router.errors import ErrorCode
from apps.router.ports import Caller

log = logging.getLogger(__name__)


class Counters(Protocol):
    """Named counters that expire."""

    async def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Add to a counter and return it, atomically; it is gone after `expiry` seconds."""
        ...


@dataclass(frozen=True, slots=True)
class Quota:
    """What a key has used of its minute, and when a new one begins."""

    limit: int
    used: int
    resets_in_s: int

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """The headers that say so as OpenAI's do."""
        minutes, seconds = divmod(self.resets_in_s, 60)
        reset = b"%dm%ds" % (minutes, seconds) if minutes else b"%ds" % seconds
        return [
            (b"x-ratelimit-limit-requests", b"%d" % self.limit),
            (b"x-ratelimit-remaining-requests", b"%d" % max(0, self.limit - self.used)),
            (b"x-ratelimit-reset-requests", reset),
        ]


class RequestCounter:
    """Counts by key in windows of a minute; no two keys' windows need begin together."""

    def __init__(self, counters: Counters, *, clock: Callable[[], float] = time.time) -> None:
        self._counters = counters
        self._clock = clock

    async def take(self, key_id: str, limit: int) -> Quota:
        """Count one request."""
        now = int(self._clock()) + crc32(key_id.encode()) % CONF.limit_window_s
        window, passed_s = divmod(now, CONF.limit_window_s)
        # Kept for longer than the window: the clocks of processes differ.
        used = await self._counters.incr(f"{key_id}/{window}", 2 * CONF.limit_window_s)
        return Quota(limit, used, CONF.limit_window_s - passed_s)


async def request_count(exchange: Exchange, caller: Caller) -> None:
    """Count a request against its key's minute. Raises ApiError when that is used up."""
    limit = caller.requests_per_minute or settings.API_REQUESTS_PER_MINUTE
    try:
        quota = await _counter().take(caller.key_id, limit)
    except RedisError as error:
        # Answers matter more than counting them.
        log.warning("requests are not counted: %s", error)
        return
    exchange.headers += quota.headers
    if quota.used > limit:
        words = f"The API key's limit of {limit} requests a minute is reached."
        retry_after_s = quota.resets_in_s
        raise ApiError(ErrorCode.RATE_LIMIT_EXCEEDED, words, retry_after_s=retry_after_s)


# Redis' connections belong to the event loop that opened them.
_counters: WeakKeyDictionary[asyncio.AbstractEventLoop, RequestCounter] = WeakKeyDictionary()


def _counter() -> RequestCounter:
    loop = asyncio.get_running_loop()
    counter = _counters.get(loop)
    if counter is None:
        url = settings.REDIS_URL
        counter = RequestCounter(redis_counters(url) if url else MemoryStorage())
        _counters[loop] = counter
    return counter


def redis_counters(url: str) -> RedisStorage:
    """Return counters that all processes share."""
    pool: Any = BlockingConnectionPool.from_url(
        url,
        max_connections=CONF.redis_connections_count,
        timeout=CONF.redis_timeout_s,
        socket_timeout=CONF.redis_timeout_s,
        socket_connect_timeout=CONF.redis_timeout_s,
    )
    return RedisStorage(
        "async+redis://",
        implementation="redispy",
        key_prefix="motherfluxer-api-requests",
        connection_pool=pool,
    )
