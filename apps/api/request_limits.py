"""How many requests a key may make in a minute, counted in memory, or in Redis by all processes."""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Protocol
from zlib import crc32

from asgiref.sync import sync_to_async
from django.conf import settings
from limits.aio.storage import MemoryStorage
from limits.storage import RedisStorage

from apps.api.conf import CONF
from apps.api.errors import ApiError
from apps.api.exchange import Exchange
from apps.redis_clients import REDIS_AWAY, redis_patience
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


@dataclass(slots=True)
class _Share:
    """Requests of one window that this process may let through without asking again.

    taken: those that were taken of the window when this process last asked, its own included.
    asking: the question for more that is under way; all who wait for it get its outcome.
    """

    window: int
    free: int = 0
    taken: int = 0
    asking: asyncio.Task[None] | None = None


class RequestCounter:
    """Counts by key in windows of a minute; no two keys' windows need begin together.

    Several requests are taken at once, for asking a counter elsewhere costs more than all else. Of
    what is left only a small share is taken, so that little of it lies unused where nobody asks.
    """

    def __init__(self, counters: Counters, *, clock: Callable[[], float] = time.time) -> None:
        self._counters = counters
        self._clock = clock
        self._shares: dict[str, _Share] = {}
        self._away_until = 0.0

    async def take(self, key_id: str, limit: int) -> Quota | None:
        """Count one request; None while it cannot be counted, since answers matter more."""
        if self._clock() < self._away_until:
            return None
        try:
            return await self._take(key_id, limit)
        except REDIS_AWAY as error:
            if self._clock() >= self._away_until:
                self._away_until = self._clock() + CONF.redis_rest_s
                log.warning("requests are not counted for a while: %s", error)
            return None

    async def _take(self, key_id: str, limit: int) -> Quota:
        now = int(self._clock()) + crc32(key_id.encode()) % CONF.limit_window_s
        window, passed_s = divmod(now, CONF.limit_window_s)
        resets_in_s = CONF.limit_window_s - passed_s
        share = self._share(key_id, window)
        while not share.free and share.taken < limit:
            if share.asking is None:
                share.asking = asyncio.create_task(self._extend(share, key_id, limit))
            await asyncio.shield(share.asking)
        if not share.free:
            return Quota(limit, limit + 1, resets_in_s)
        share.free -= 1
        return Quota(limit, min(share.taken, limit) - share.free, resets_in_s)

    def _share(self, key_id: str, window: int) -> _Share:
        share = self._shares.get(key_id)
        if share is not None and share.window == window:
            return share
        if len(self._shares) >= CONF.shares_count:
            self._shares.clear()
        share = self._shares[key_id] = _Share(window)
        return share

    async def _extend(self, share: _Share, key_id: str, limit: int) -> None:
        """Take more of the window."""
        wanted = max(1, (limit - share.taken) // CONF.share_parts_count)
        # Kept for longer than the window: the clocks of processes differ.
        expiry_s = 2 * CONF.limit_window_s
        try:
            taken = await self._counters.incr(f"{key_id}/{share.window}", expiry_s, amount=wanted)
        finally:
            share.asking = None
        share.taken = taken
        share.free = max(0, min(wanted, limit - (taken - wanted)))


async def request_count(exchange: Exchange, caller: Caller) -> None:
    """Count a request against its key's minute. Raises ApiError when that is used up."""
    limit = caller.requests_per_minute or settings.API_REQUESTS_PER_MINUTE
    quota = await _counter().take(caller.key_id, limit)
    if quota is None:
        return
    exchange.headers += quota.headers
    if quota.used > limit:
        words = f"The API key's limit of {limit} requests a minute is reached."
        retry_after_s = quota.resets_in_s
        raise ApiError(ErrorCode.RATE_LIMIT_EXCEEDED, words, retry_after_s=retry_after_s)


def counters_of(url: str | None) -> Counters:
    """Return counters in Redis, or in memory where there is none."""
    return RedisCounters(url) if url else MemoryStorage()


class RedisCounters:
    """Counters that all processes share.

    The blocking client in threads: its connections outlive event loops, and close by themselves.
    """

    def __init__(self, url: str) -> None:
        storage = RedisStorage(
            url.replace("unix://", "redis+unix://", 1),
            key_prefix="motherfluxer-api-requests",
            **redis_patience(),
        )
        self.incr = sync_to_async(storage.incr, thread_sensitive=False)


@cache
def _counter() -> RequestCounter:
    """Return this process's counter."""
    return RequestCounter(counters_of(settings.REDIS_URL))
