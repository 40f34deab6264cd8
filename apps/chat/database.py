"""Runs the chat's database work off the event loop, outside a request's own thread."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import ParamSpec, TypeVar

from asgiref.sync import sync_to_async
from django.db import connections

from apps.chat.conf import CONF
from apps.databases import DATABASE_AWAY

ParamsT = ParamSpec("ParamsT")
ResultT = TypeVar("ResultT")

logger = logging.getLogger(__name__)


async def in_own_thread(
    function: Callable[ParamsT, ResultT], *args: ParamsT.args, **kwargs: ParamsT.kwargs
) -> ResultT:
    """Call a short database function in any free thread and leave no connection behind.

    For what outlives a request: the request's own thread ends with it, and the process-wide one
    would make everybody wait for everybody's queries.
    """

    def call() -> ResultT:
        try:
            return function(*args, **kwargs)
        finally:
            connections.close_all()

    return await sync_to_async(call, thread_sensitive=False)()


async def until_answered(act: Callable[[], Awaitable[ResultT]]) -> ResultT:
    """Do what needs the database; while it is away, again and again."""
    pause_s, was_away = CONF.database_again_first_s, False
    while True:
        try:
            result = await act()
        except DATABASE_AWAY as error:
            if not was_away:
                logger.warning("the database is away; the chat waits: %s", error)
            was_away = True
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, CONF.database_again_most_s)
            continue
        if was_away:
            logger.info("the database is back")
        return result
