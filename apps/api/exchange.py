"""One HTTP exchange on ASGI: what was sent, and how the reply goes out."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final
from uuid import uuid4

import msgspec
from django.conf import settings
from django.http.request import split_domain_port, validate_host

from apps.api.conf import CONF
from apps.api.errors import ApiError, ClientGoneError
from apps.router.errors import ErrorCode

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

_JSON: Final = (b"content-type", b"application/json")
_NO_STORE: Final = (b"cache-control", b"no-store")
_OF_A_BODY: Final = (b"content-length", b"transfer-encoding")


class Exchange:
    """A request and its reply.

    notes: go into its line in the log.
    headers: go onto its reply.
    is_over: the last of the reply is on its way.
    request_id_headers: the names of the headers that tell its id.
    failure_event: writes the last event of a stream that fails; None before a stream begins.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.request_id = str(uuid4())
        self.receive = receive
        self.status: int | None = None
        self.is_client_gone = False
        self.is_over = False
        self.notes: dict[str, object] = {}
        self.headers: Headers = []
        self.request_id_headers: tuple[bytes, ...] = (b"x-request-id",)
        self.failure_event: Callable[[ApiError], bytes] | None = None
        self._scope = scope
        self._send = send
        self._is_body_due = any(name in _OF_A_BODY for name, _ in scope["headers"])
        self._began_at = time.monotonic()

    @property
    def duration_ms(self) -> int:
        """How long it has taken so far."""
        return round((time.monotonic() - self._began_at) * 1000)

    @property
    def address(self) -> str:
        """The client's address; the server has seen to proxies, as far as they are trusted."""
        client = self._scope.get("client")
        return client[0] if client else ""

    def header(self, name: bytes) -> str | None:
        """Return a header's value; None when it was sent never or more than once."""
        values = self.header_values(name)
        return values[0] if len(values) == 1 else None

    def header_values(self, name: bytes) -> list[str]:
        """Return all values that a header was sent with."""
        return [value.decode("latin-1") for key, value in self._scope["headers"] if key == name]

    def address_of(self, path: str) -> str:
        """Return the whole address of a path; the path alone when the host is not one of ours."""
        host = (self.header(b"host") or "").lower()
        domain, _ = split_domain_port(host)
        if not domain or not validate_host(domain, settings.ALLOWED_HOSTS):
            return path
        return f"{self._scope.get('scheme', 'http')}://{host}{path}"

    async def read_body(self) -> bytes:
        """Read the whole body. Raises ApiError when it cannot be taken, ClientGoneError."""
        if self.header_values(b"content-encoding"):
            words = "The body must come as it is, without Content-Encoding."
            raise ApiError(ErrorCode.UNSUPPORTED_ENCODING, words)
        length = self.header(b"content-length") or ""
        if length.isdecimal() and int(length[:20]) > CONF.max_body_bytes:
            raise _too_large()
        body = bytearray()
        while True:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                self.is_client_gone = True
                raise ClientGoneError
            body += message.get("body", b"")
            if len(body) > CONF.max_body_bytes:
                raise _too_large()
            if not message.get("more_body", False):
                self._is_body_due = False
                return bytes(body)

    async def wait_gone(self) -> None:
        """Wait until the client hangs up; call it when the body has been read."""
        while (await self.receive())["type"] != "http.disconnect":
            pass

    async def start(self, status: int, headers: Headers) -> None:
        """Send the reply's status and headers."""
        self.status = status
        request_id = self.request_id.encode("ascii")
        ids = [(name, request_id) for name in self.request_id_headers]
        head = [*headers, *self.headers, _NO_STORE, *ids]
        await self._send({"type": "http.response.start", "status": status, "headers": head})

    async def start_events(self, failure_event: Callable[[ApiError], bytes]) -> None:
        """Begin a stream of events; from now on an error is told by the last of them."""
        event_stream = (b"content-type", b"text/event-stream; charset=utf-8")
        unbuffered = (b"x-accel-buffering", b"no")
        await self.start(200, [event_stream, unbuffered])
        self.failure_event = failure_event

    async def send(self, body: bytes, *, is_last: bool = False) -> None:
        """Send more of the reply's body."""
        self.is_over = is_last
        await self._send({"type": "http.response.body", "body": body, "more_body": not is_last})

    async def reply(self, status: int, found: object, headers: Headers | None = None) -> None:
        """Send a whole reply in JSON; without a body when none was asked for."""
        body = msgspec.json.encode(found)
        length = (b"content-length", b"%d" % len(body))
        await self.start(status, [_JSON, length, *(headers or [])])
        shown = b"" if self.method == "HEAD" else body
        if self._is_body_due:
            await self.send(shown)
            await self._discard_body()
            shown = b""
        await self.send(shown, is_last=True)

    async def reply_empty(self, headers: Headers) -> None:
        """Send a reply without content."""
        await self.start(204, headers)
        await self.send(b"", is_last=True)

    async def _discard_body(self) -> None:
        """Read on, within bounds, what a refused request still sends.

        A connection that is closed with unread bytes is reset, and its client sees no reply.
        """
        left_bytes = CONF.discarded_most_bytes
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CONF.discarded_within_s):
                while left_bytes > 0:
                    message = await self.receive()
                    if not message.get("more_body", False):
                        return
                    left_bytes -= len(message["body"])


def _too_large() -> ApiError:
    words = f"The body is over {CONF.max_body_bytes} bytes."
    return ApiError(ErrorCode.REQUEST_TOO_LARGE, words)
