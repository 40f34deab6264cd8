"""A proxy in front of several web processes, as far as tests need one: it goes round."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final

# As long as a site's proxy tries the next process before it gives a request up.
TRY_S: Final = 15.0
PAUSE_S: Final = 0.05


class Balancer:
    """Carries each connection to the next process that takes it."""

    def __init__(self, ports: list[int]) -> None:
        self.ports = ports
        self.port = 0
        self._turn = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection both ways."""
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        with contextlib.suppress(OSError, asyncio.CancelledError):
            far_reader, far_writer = await self._connect()
            await asyncio.gather(_carry(reader, far_writer), _carry(far_reader, writer))
        writer.transport.abort()

    async def stop(self) -> None:
        """End all connections."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        deadline = asyncio.get_running_loop().time() + TRY_S
        while True:
            self._turn += 1
            try:
                port = self.ports[self._turn % len(self.ports)]
                return await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                if asyncio.get_running_loop().time() > deadline:
                    raise
                await asyncio.sleep(PAUSE_S)


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


@contextlib.asynccontextmanager
async def open_balancer(ports: list[int]) -> AsyncIterator[Balancer]:
    """Yield a running balancer."""
    balancer = Balancer(ports)
    server = await asyncio.start_server(balancer.serve, "127.0.0.1", 0, backlog=512)
    balancer.port = server.sockets[0].getsockname()[1]
    try:
        yield balancer
    finally:
        server.close()
        await balancer.stop()
