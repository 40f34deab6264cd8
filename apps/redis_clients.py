"""How the site's apps ask Redis: soon told that it is away, and well again as soon as it is back.

The blocking client, to be used in threads: its connections outlive event loops and close by
themselves.
"""

from typing import Any, Final

import redis
from redis.backoff import NoBackoff
from redis.exceptions import BusyLoadingError, ConnectionError, ReadOnlyError, TimeoutError
from redis.retry import Retry

REDIS_AWAY: Final = (ConnectionError, TimeoutError, BusyLoadingError, ReadOnlyError)
REDIS_AWAY_WORDS: Final = (
    "A part of the site cannot be reached for a moment. Nothing was changed; try again soon."
)
PATIENCE_S: Final = 2.0


def redis_patience() -> dict[str, Any]:
    """Return the options of a client. One more try: a Redis that was restarted closed them all."""
    return {
        "socket_connect_timeout": PATIENCE_S,
        "socket_timeout": PATIENCE_S,
        "retry": Retry(NoBackoff(), 1),
    }


def redis_client(url: str) -> "redis.Redis[str]":
    """Return a client that speaks text."""
    return redis.Redis.from_url(url, decode_responses=True, **redis_patience())
