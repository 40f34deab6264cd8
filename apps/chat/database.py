"""Runs the chat's database work off the event loop, outside a request's own thread."""

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from asgiref.sync import sync_to_async
from django.db import connections

ParamsT = ParamSpec("ParamsT")
ResultT = TypeVar("ResultT")


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
