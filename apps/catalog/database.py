"""Runs the catalog's reads off the event loop, in any free thread."""

from collections.abc import Callable
from typing import TypeVar

from asgiref.sync import sync_to_async
from django.db import connections

ResultT = TypeVar("ResultT")


async def in_own_thread(function: Callable[[], ResultT]) -> ResultT:
    """Call a short read in any free thread and leave no connection behind.

    The router asks every second, whoever else uses the process-wide thread.
    """

    def call() -> ResultT:
        try:
            return function()
        finally:
            connections.close_all()

    return await sync_to_async(call, thread_sensitive=False)()
