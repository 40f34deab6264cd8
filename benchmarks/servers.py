"""Compares web servers on the site's own pages, on streams and on websockets.

Run it as `python -m benchmarks.servers [NAME…]`. What is not installed is left out. It counts what
each costs a processor, which a busy machine changes less than what it does in a second.
"""

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import psutil
from django.core.asgi import get_asgi_application
from websockets.asyncio.client import connect

from tests.servers import free_port

APPLICATION: Final = "benchmarks.servers:application"
CHUNK: Final = b"data: " + b"x" * 50 + b"\n\n"
CHUNKS: Final = 50_000
FRAMES: Final = 10_000
FRAMES_AT_ONCE: Final = 50
REQUESTS: Final = 300
READERS: Final = 8
IDLE: Final = 300
UNREAD_S: Final = 3.0
SLOW_CHUNKS: Final = 20
SLOW_PAUSE_S: Final = 0.1

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "motherfluxer.settings.dev")
_django = get_asgi_application()


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Serve the site's pages, streams that are made here, and an echo by websocket."""
    if scope["type"] == "lifespan":
        for step in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{step}.complete"})
    elif scope["type"] == "websocket":
        await _echo(receive, send)
    elif scope["path"] in ("/chunks", "/slow"):
        await _stream(send, is_slow=scope["path"] == "/slow")
    else:
        await _django(scope, receive, send)


async def _echo(receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message["text"]})


async def _stream(send: Any, *, is_slow: bool) -> None:
    head = [(b"content-type", b"text/event-stream")]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    for _ in range(SLOW_CHUNKS if is_slow else CHUNKS):
        await send({"type": "http.response.body", "body": CHUNK, "more_body": True})
        if is_slow:
            await asyncio.sleep(SLOW_PAUSE_S)
    await send({"type": "http.response.body", "body": b""})


def commands(port: int) -> dict[str, list[str]]:
    """Return how each server is started."""
    at, number = "127.0.0.1", str(port)
    fast = ["--loop", "uvloop", "--http", "httptools", "--ws", "websockets-sansio"]
    return {
        "gunicorn, ours": ["gunicorn", "-c", "motherfluxer/gunicorn.conf.py", APPLICATION],
        "uvicorn": ["uvicorn", APPLICATION, "--port", number, "--no-access-log", *fast],
        "hypercorn": ["hypercorn", APPLICATION, "-b", f"{at}:{port}", "-k", "uvloop"],
        "granian": ["granian", "--interface", "asgi", "--port", number, APPLICATION],
        "daphne": ["daphne", "-v0", "-b", at, "-p", number, APPLICATION],
    }


@dataclass
class Server:
    """A running server and its processes."""

    port: int
    process: psutil.Process

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def _all(self) -> list[psutil.Process]:
        return [self.process, *self.process.children(recursive=True)]

    def cpu_s(self) -> float:
        """Return the processor time that all of its processes have used."""
        times = [one.cpu_times() for one in self._all()]
        return sum(one.user + one.system for one in times)

    def memory_bytes(self) -> int:
        """Return the memory of all of its processes."""
        return sum(int(one.memory_info().rss) for one in self._all())

    async def cost_us(self, work: Callable[[], Awaitable[int]]) -> float:
        """Do something; return the processor time for each of as many as it says it did."""
        before = self.cpu_s()
        count = await work()
        return (self.cpu_s() - before) / count * 1e6


@contextlib.asynccontextmanager
async def running(name: str, folder: Path) -> AsyncIterator[Server]:
    """Start a server and wait until it answers."""
    port = free_port()
    command = commands(port)[name]
    program = Path(sys.executable).with_name(command[0])
    env = {**os.environ, "PORT": str(port), "MOTHERFLUXER_BIND": "127.0.0.1"}
    env |= {"MOTHERFLUXER_VAR": str(folder)}
    with (folder / "log").open("ab") as log:
        child = subprocess.Popen(  # noqa: ASYNC220 - it returns at once
            [str(program), *command[1:]], env=env, stdout=log, stderr=log
        )
    server = Server(port, psutil.Process(child.pid))
    try:
        async with httpx.AsyncClient(trust_env=False) as client, asyncio.timeout(60):
            while True:
                with contextlib.suppress(httpx.TransportError):
                    await client.get(f"{server.url}/healthz")
                    break
                await asyncio.sleep(0.1)
        yield server
    finally:
        with contextlib.suppress(psutil.NoSuchProcess):
            for one in server.process.children(recursive=True):
                one.kill()
        child.kill()
        child.wait()


async def pages(server: Server, path: str) -> int:
    """Ask for a page again and again."""
    async with httpx.AsyncClient(base_url=server.url, trust_env=False, timeout=60) as client:

        async def ask() -> None:
            for _ in range(REQUESTS // READERS):
                (await client.get(path)).raise_for_status()

        await asyncio.gather(*(ask() for _ in range(READERS)))
    return REQUESTS // READERS * READERS


async def chunks(server: Server) -> int:
    """Read a stream to its end."""
    reader, writer = await opened(server, "/chunks")
    while await reader.read(1 << 20):
        pass
    writer.close()
    return CHUNKS


async def opened(server: Server, path: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Ask on a connection of its own, which ends with the answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    return reader, writer


def socket_to(server: Server) -> connect:
    """Open a websocket."""
    return connect(f"ws://127.0.0.1:{server.port}/ws", compression=None, proxy=None)


async def frames(server: Server) -> int:
    """Have frames echoed, some at once."""
    async with socket_to(server) as link:
        for _ in range(FRAMES // FRAMES_AT_ONCE):
            for _ in range(FRAMES_AT_ONCE):
                await link.send("x" * 80)
            for _ in range(FRAMES_AT_ONCE):
                await link.recv()
    return FRAMES


async def idle_bytes(server: Server) -> float:
    """Return what an idle websocket costs in memory."""
    before = server.memory_bytes()
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(IDLE):
            await stack.enter_async_context(socket_to(server))
        return (server.memory_bytes() - before) / IDLE


async def unread_bytes(server: Server) -> float:
    """Return what a reader costs in memory that takes nothing."""
    before = server.memory_bytes()
    writers = [(await opened(server, "/chunks"))[1] for _ in range(4)]
    await asyncio.sleep(UNREAD_S)
    grown = server.memory_bytes() - before
    for writer in writers:
        writer.close()
    return grown / len(writers)


async def stopped(server: Server) -> str:
    """Tell what a SIGTERM in the middle of an answer does to it, and to who comes then."""
    reader, writer = await opened(server, "/slow")
    await reader.readuntil(CHUNK)
    server.process.send_signal(signal.SIGTERM)
    await asyncio.sleep(3 * SLOW_PAUSE_S)
    try:
        (await opened(server, "/healthz"))[1].close()
        listens = "still listens"
    except ConnectionRefusedError:
        listens = "listens no more"
    rest = b""
    with contextlib.suppress(ConnectionError):
        rest = await asyncio.wait_for(reader.read(), 30)
    writer.close()
    # The first chunk's bytes are read already.
    return f"{'whole' if rest.count(CHUNK) >= SLOW_CHUNKS - 1 else 'cut off'}, {listens}"


async def measured(name: str, folder: Path) -> list[str]:
    """Return a server's row."""
    async with running(name, folder) as server:
        await pages(server, "/healthz")
        # Memory first: afterwards there is some to use again.
        idle, unread = await idle_bytes(server), await unread_bytes(server)
        return [
            name,
            f"{await server.cost_us(lambda: pages(server, '/healthz')):.0f}",
            f"{await server.cost_us(lambda: pages(server, '/docs/')):.0f}",
            f"{await server.cost_us(lambda: chunks(server)):.1f}",
            f"{await server.cost_us(lambda: frames(server)):.1f}",
            f"{idle / 1024:.0f}",
            f"{unread / 1024:.0f}",
            await stopped(server),
        ]


def main() -> None:
    """Print the table."""
    names = sys.argv[1:] or list(commands(0))
    print(
        "| server | /healthz, µs | a page, µs | a chunk, µs | a frame, µs "
        "| idle websocket, KiB | reader that does not read, KiB | an answer at SIGTERM |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for name in names:
        if not Path(sys.executable).with_name(commands(0)[name][0]).exists():
            print(f"| {name} | not installed |")
            continue
        folder = Path(tempfile.mkdtemp(prefix="motherfluxer-bench-"))
        began = time.monotonic()
        try:
            print(f"| {' | '.join(asyncio.run(measured(name, folder)))} |", flush=True)
        except (OSError, RuntimeError, TimeoutError, httpx.HTTPError) as error:
            print(f"| {name} | failed after {time.monotonic() - began:.0f} s: {error!r} |")
        finally:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
