"""What Redis must be for routers: new enough, and one that never drops what is in use."""

import logging
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from apps.router.errors import RedisTooOldError

log = logging.getLogger(__name__)

OLDEST: Final = 7
"""Of Redis' main versions; Valkey names the one that it is like."""

POLICY: Final = "noeviction"


async def server_check(redis: "Redis[bytes]") -> None:
    """Warn of a Redis that may evict. Raises RedisTooOldError, redis' errors."""
    client: Any = redis
    try:
        version = str((await client.info("server"))["redis_version"])
        is_too_old = int(version.partition(".")[0]) < OLDEST
        policy = str((await client.info("memory"))["maxmemory_policy"])
    except (ResponseError, KeyError, ValueError) as error:
        log.warning("Redis does not say what it is: %s", error)
        return
    if is_too_old:
        raise RedisTooOldError(version, OLDEST)
    if policy != POLICY:
        log.warning("Redis may drop what is in use: maxmemory-policy is %s, not %s", policy, POLICY)
