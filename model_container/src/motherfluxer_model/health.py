"""Local HTTP for whoever watches this container: hands out a few pages to this machine."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from motherfluxer_model.core.hosts import is_own_host
from motherfluxer_model.errors import UsageError

logger = logging.getLogger(__name__)
REQUEST_TIMEOUT_S: Final = 5.0
MAX_HEAD_BYTES: Final = 8192
HEADERS: Final = (
    "cache-control: no-store",
    "connection: close",
    "x-content-type-options: nosniff",
    "referrer-policy: no-referrer",
    "cross-origin-resource-policy: same-origin",
    "content-security-policy: default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
)


@dataclass(frozen=True, slots=True)
class Page:
    """What is sent."""

    content_type: str
    body: bytes
    status: HTTPStatus = HTTPStatus.OK


Pages = Mapping[str, Callable[[], Page]]


class HealthServer:
    """Answers each path with what its function gives."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages
        self._server: asyncio.Server | None = None
        self._host = ""
        self.port = 0

    async def start(self, host: str, port: int, *, may_move: bool) -> None:
        """Listen; `may_move`: take any free port where this one is taken. Raises UsageError."""
        self._host = host
        try:
            self._server = await self._listen(host, port)
        except (OSError, UnicodeError) as error:
            if not may_move or not isinstance(error, OSError):
                raise UsageError(f"cannot listen on {host}:{port}: {error}") from error
            logger.warning("port %d is taken, taking a free one", port)
            self._server = await self._listen(host, 0)
        self.port = self._server.sockets[0].getsockname()[1]

    @property
    def url(self) -> str:
        """The address of the first page."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self.port}"

    async def close(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def _listen(self, host: str, port: int) -> asyncio.Server:
        return await asyncio.start_server(self._answer, host, port, limit=MAX_HEAD_BYTES)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT_S):
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                writer.write(_response(self._reply(head), has_body=not head.startswith("HEAD ")))
                await writer.drain()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # not a request, or nobody reads the answer
        finally:
            writer.close()

    def _reply(self, head: str) -> Page:
        request, *headers = head.split("\r\n")
        method, _, rest = request.partition(" ")
        path = rest.split(" ", 1)[0].split("?", 1)[0]
        if not is_own_host(_header(headers, "host"), self._host):
            words = "ask for this page by 127.0.0.1 or localhost"
            return _refusal(HTTPStatus.MISDIRECTED_REQUEST, words)
        if path not in self._pages:
            return _refusal(HTTPStatus.NOT_FOUND, f"there are {' '.join(self._pages)}")
        if method not in ("GET", "HEAD"):
            return _refusal(HTTPStatus.METHOD_NOT_ALLOWED, "only GET and HEAD")
        return self._pages[path]()


def _header(lines: list[str], name: str) -> str | None:
    for line in lines:
        key, _, value = line.partition(":")
        if key.strip().lower() == name:
            return value.strip()
    return None


def _refusal(status: HTTPStatus, words: str) -> Page:
    return Page("text/plain; charset=utf-8", f"{words}\n".encode(), status)


def _response(page: Page, *, has_body: bool) -> bytes:
    lines = [
        f"HTTP/1.1 {page.status.value} {page.status.phrase}",
        f"content-type: {page.content_type}",
        f"content-length: {len(page.body)}",
        *HEADERS,
    ]
    head = "\r\n".join(lines) + "\r\n\r\n"
    return head.encode() + (page.body if has_body else b"")
