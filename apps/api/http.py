"""Requests and answers at the level of ASGI."""

from collections.abc import Awaitable, Callable
from typing import Any

from django.conf import settings
from django.http.request import split_domain_port, validate_host

from apps.api.errors import ApiError
from apps.api.schemas import MAX_BODY_BYTES
from apps.router.errors import ErrorCode

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

JSON = (b"content-type", b"application/json")
EVENT_STREAM: Headers = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
]


class ClientGoneError(Exception):
    """The client hung up."""


async def read_body(receive: Receive) -> bytes:
    """Read a whole body. Raises ApiError when it is too large, ClientGoneError."""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > MAX_BODY_BYTES:
            words = f"The request is over {MAX_BODY_BYTES} bytes."
            raise ApiError(ErrorCode.REQUEST_TOO_LARGE, words)
        if not message.get("more_body"):
            return b"".join(parts)


async def send_json(send: Send, status: int, body: bytes, headers: Headers) -> None:
    """Answer with a whole JSON body."""
    length = (b"content-length", str(len(body)).encode())
    head = [JSON, length, (b"cache-control", b"no-store"), *headers]
    await send({"type": "http.response.start", "status": status, "headers": head})
    await send({"type": "http.response.body", "body": body})


def bearer_token(scope: Scope) -> str | None:
    """Return the token of the one Authorization header, or None."""
    values = [value for name, value in scope["headers"] if name == b"authorization"]
    if len(values) != 1:
        return None
    scheme, _, token = values[0].decode("latin-1").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def decision_url(scope: Scope, job_id: str) -> str:
    """Return the address of the page that explains a job; absolute where the host is ours."""
    path = f"/transparency/decisions/{job_id}"
    host = dict(scope["headers"]).get(b"host", b"").decode("latin-1")
    domain, _ = split_domain_port(host)
    if domain and validate_host(domain, settings.ALLOWED_HOSTS):
        return f"{scope['scheme']}://{host}{path}"
    return path
