"""Asks each part that a question needs whether it works now."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from channels.db import database_sync_to_async
from django.conf import settings
from django.core.cache import cache
from django.db import connection

from apps.operations.conf import CONF
from apps.router.selectors import router_trouble, router_view

logger = logging.getLogger(__name__)

_CACHE_KEY: Final = "operations:ready"


@dataclass(frozen=True, slots=True)
class Part:
    """One part's state, with a word for people."""

    ok: bool
    detail: str


async def parts_now() -> dict[str, Part]:
    """Ask all parts at once."""
    checks = {"database": _database, "bus": _bus, "instances": _instances}
    states = await asyncio.gather(*(_ask(name, check) for name, check in checks.items()))
    return dict(zip(checks, states, strict=True))


async def _ask(name: str, check: Callable[[], Awaitable[Part]]) -> Part:
    try:
        async with asyncio.timeout(CONF.part_answers_within_s):
            return await check()
    except TimeoutError:
        return Part(False, f"no answer within {CONF.part_answers_within_s:g} s")
    except Exception:  # whatever is wrong with a part, the page is there to say that something is
        logger.exception("a part is not ready", extra={"part": name})
        return Part(False, "not reachable")


async def _database() -> Part:
    await database_sync_to_async(_select_one, thread_sensitive=False)()
    return Part(True, connection.vendor)


def _select_one() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


async def _bus() -> Part:
    try:
        trouble = router_trouble()
    except RuntimeError:
        return Part(False, "the router does not run in this process")
    if trouble is not None:
        return Part(False, trouble)
    if settings.ROUTER_APART:
        return Part(True, "Redis, to a router that acts")
    if not settings.REDIS_URL:
        return Part(True, "in-process")
    await database_sync_to_async(cache.get, thread_sensitive=False)(_CACHE_KEY)
    return Part(True, "in-process; Redis answers")


async def _instances() -> Part:
    try:
        count = len(router_view().instances)
    except RuntimeError:
        return Part(False, "unknown: the router does not run in this process")
    return Part(count > 0, f"{count} connected" if count else "none is connected")
