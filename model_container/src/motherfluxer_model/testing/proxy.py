"""An HTTP proxy for tests: takes CONNECT, carries bytes both ways, or refuses as told."""

import asyncio
import base64
import contextlib
import ssl
from types import TracebackType
from typing import Final, Self

HEAD_END: Final = b"\r\n\r\n"


class ConnectProxy:
    """Listens on loopback; use as an asynchronous context."""

    def __init__(
        self,
        *,
        login: str | None = None,
        refuse_with: int | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.targets: list[str] = []
        self._login = login
        self._refuse_with = refuse_with
        self._tls = tls
        self._server: asyncio.Server | None = None

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.sockets[0].getsockname()[1]) if self._server else 0

    def url(self, login: str | None = None) -> str:
        """Give the address for `HTTPS_PROXY`, with a name and password if wanted."""
        scheme = "https" if self._tls else "http"
        return f"{scheme}://{login + '@' if login else ''}127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(HEAD_END)).decode("latin-1")
            method, target, _ = head.split(" ", 2)
            status = self._judge(method, head)
            writer.write(f"HTTP/1.1 {status} as told\r\n".encode() + b"\r\n")
            if status == 200:
                self.targets.append(target)
                await self._carry(target, reader, writer)
        writer.close()

    def _judge(self, method: str, head: str) -> int:
        if method != "CONNECT":
            return 405
        if self._refuse_with is not None:
            return self._refuse_with
        if self._login is None:
            return 200
        wanted = "Basic " + base64.b64encode(self._login.encode()).decode()
        return 200 if f"proxy-authorization: {wanted}".lower() in head.lower() else 407

    async def _carry(
        self, target: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        host, _, port = target.rpartition(":")
        far_reader, far_writer = await asyncio.open_connection(host.strip("[]"), int(port))
        await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()
