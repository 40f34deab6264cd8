"""A bound on the bodies that reach Django, which would write one of any size to the disk first."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any, Final

from django.conf import settings

# A client that sends all of a body before it reads gets to see the refusal within these.
DISCARDED_BYTES: Final = 64 * 1024 * 1024
DISCARDED_WITHIN_S: Final = 5.0

_WORDS: Final = b"The body is too large."
_HEAD: Final = [
    (b"content-type", b"text/plain; charset=utf-8"),
    (b"content-length", b"%d" % len(_WORDS)),
]

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Application = Callable[[Any, Any, Any], Awaitable[None]]


def with_bounded_body(application: Application) -> Application:
    """Answer a request with 413 whose body is larger than Django would let a view read."""

    async def call(scope: Any, receive: Receive, send: Any) -> None:
        most_bytes = settings.DATA_UPLOAD_MAX_MEMORY_SIZE or 0
        if _announced_bytes(scope) > most_bytes:
            await _refuse(receive, send)
            return
        came_bytes = 0

        async def counted() -> Message:
            nonlocal came_bytes
            message = await receive()
            came_bytes += len(message.get("body", b""))
            return {"type": "http.disconnect"} if came_bytes > most_bytes else message

        await application(scope, counted, send)
        if came_bytes > most_bytes:
            await _refuse(receive, send)

    return call


def _announced_bytes(scope: Any) -> int:
    values = [value for name, value in scope["headers"] if name == b"content-length"]
    return int(values[0]) if values and values[0].isdigit() else 0


async def _refuse(receive: Receive, send: Any) -> None:
    """Reply, and read on for a moment: closing on unread bytes would hide the reply."""
    await send({"type": "http.response.start", "status": 413, "headers": _HEAD})
    await send({"type": "http.response.body", "body": _WORDS, "more_body": True})
    left_bytes = DISCARDED_BYTES
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(DISCARDED_WITHIN_S):
            while left_bytes > 0:
                message = await receive()
                if not message.get("more_body", False):
                    break
                left_bytes -= len(message["body"])
    await send({"type": "http.response.body", "body": b""})
