"""Local HTTP for whoever watches this container: `/healthz` (it lives), `/readyz` (it serves)."""

import asyncio
import json
import logging
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final

from motherfluxer_model.errors import UsageError

logger = logging.getLogger(__name__)
REQUEST_TIMEOUT_S: Final = 5.0
MAX_HEAD_BYTES: Final = 8192

Report = dict[str, Any]


class HealthServer:
    """Answers two paths with what `report` says; `report()["ready"]` decides on `/readyz`."""

    def __init__(self, report: Callable[[], Report]) -> None:
        self._report = report
        self._server: asyncio.Server | None = None
        self.port = 0

    async def start(self, host: str, port: int, *, may_move: bool) -> None:
        """Listen; `may_move`: take any free port where this one is taken. Raises UsageError."""
        try:
            self._server = await self._listen(host, port)
        except OSError as error:
            if not may_move:
                raise UsageError(f"cannot listen on {host}:{port}: {error}") from error
            logger.warning("port %d is taken, taking a free one", port)
            self._server = await self._listen(host, 0)
        self.port = self._server.sockets[0].getsockname()[1]

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
                head = await reader.readuntil(b"\r\n\r\n")
                status, body = self._reply(head)
                writer.write(_response(status, body))
                await writer.drain()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # not a request, or nobody reads the answer
        finally:
            writer.close()

    def _reply(self, head: bytes) -> tuple[HTTPStatus, Report]:
        method, _, rest = head.decode("latin-1").partition(" ")
        path = rest.split(" ", 1)[0].split("?", 1)[0]
        if path not in ("/healthz", "/readyz"):
            return HTTPStatus.NOT_FOUND, {"error": "only /healthz and /readyz are here"}
        if method not in ("GET", "HEAD"):
            return HTTPStatus.METHOD_NOT_ALLOWED, {"error": "only GET"}
        report = self._report()
        is_bad = path == "/readyz" and not report["ready"]
        return HTTPStatus.SERVICE_UNAVAILABLE if is_bad else HTTPStatus.OK, report


def _response(status: HTTPStatus, body: Report) -> bytes:
    data = json.dumps(body).encode() + b"\n"
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: application/json\r\n"
        f"content-length: {len(data)}\r\ncache-control: no-store\r\nconnection: close\r\n\r\n"
    )
    return head.encode() + data
