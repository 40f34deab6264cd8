"""A way through the network that can fall silent: no byte, no FIN, no reset passes meanwhile.

What a lost route or a laptop's lid does to a connection, without root or a kernel module. As on a
real network nothing is lost by it: what was held goes on when the way is open again.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator


class Proxy:
    """Forwards connections to one local port."""

    def __init__(self, target_port: int) -> None:
        self.target_port = target_port
        self.port = 0
        self._is_open = asyncio.Event()
        self._is_open.set()
        self._writers: set[asyncio.StreamWriter] = set()

    def fall_silent(self) -> None:
        """Let nothing pass, in either direction, not even the end of a connection."""
        self._is_open.clear()

    def recover(self) -> None:
        """Let everything pass that was held."""
        self._is_open.set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection both ways."""
        self._writers.add(writer)
        await self._is_open.wait()
        with contextlib.suppress(OSError):
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target_port)
            self._writers.add(far_writer)
            await asyncio.gather(self._carry(reader, far_writer), self._carry(far_reader, writer))

    def cut(self) -> None:
        """End every connection hard."""
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                await self._is_open.wait()
                writer.write(data)
                await writer.drain()
        await self._is_open.wait()
        writer.close()


@contextlib.asynccontextmanager
async def open_proxy(target_port: int) -> AsyncIterator[Proxy]:
    """Yield a running proxy in front of a local port."""
    proxy = Proxy(target_port)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    async with server:
        yield proxy
        proxy.recover()
        proxy.cut()
