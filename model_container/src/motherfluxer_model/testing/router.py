"""A router for tests: real websockets on loopback, and it says only what the test tells it to.

It acknowledges nothing by itself; `on_hello` makes the welcome.
"""

import asyncio
import ssl
from collections.abc import Callable
from http import HTTPStatus
from types import TracebackType
from typing import Self, TypeVar

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from motherfluxer_wire import codec, limits
from motherfluxer_wire.frames import (
    Batch,
    Chunk,
    Done,
    Failed,
    Frame,
    FromInstance,
    Hello,
    Job,
    Message,
    Resume,
    Sampling,
    Welcome,
)

FrameT = TypeVar("FrameT", bound=Frame)
WAIT_S = 20.0


def welcome_all(hello: Hello) -> Welcome:
    """Take up every offered job from its next chunk on."""
    resume = [Resume(job=o.job, attempt=o.attempt, from_seq=o.next_seq) for o in hello.resume]
    return Welcome(protocol=limits.PROTOCOL, session="s", heartbeat_s=1, resume=resume)


def make_job(job: str = "j1", text: str = "one two three", **fields: object) -> Job:
    """Make a job whose only message is `text`."""
    given: dict[str, object] = {
        "attempt": 1,
        "model": "echo",
        "messages": [Message(role="user", content=text)],
        "sampling": Sampling(),
        "deadline_ms": 60_000,
        "service_class": "registered",
    }
    return Job(job=job, **(given | fields))  # type: ignore[arg-type]


class InstanceSide:
    """One connection of an instance, as the router sees it."""

    def __init__(self, websocket: ServerConnection, hello: Hello, welcome: Welcome) -> None:
        self.websocket = websocket
        self.hello = hello
        self.welcome = welcome
        headers = websocket.request.headers if websocket.request else Headers()
        self.authorization = headers.get("Authorization", "")
        self.received: list[FromInstance] = []
        self.raw_count = 0
        self._changed = asyncio.Condition()

    async def send(self, frame: Frame) -> None:
        """Send a frame."""
        await self.websocket.send(codec.encode(frame))

    async def send_raw(self, data: str | bytes) -> None:
        """Send anything at all."""
        await self.websocket.send(data)

    def frames(self, kind: type[FrameT]) -> list[FrameT]:
        """Give the frames of one kind received so far, those in batches included."""
        return [frame for frame in self.received if isinstance(frame, kind)]

    def text(self, job: str) -> str:
        """Join the chunks of a job in the order they came."""
        return "".join(chunk.text for chunk in self.frames(Chunk) if chunk.job == job)

    def ending(self, job: str) -> Done | Failed | None:
        """Give the job's last frame once it is here."""
        return next(
            (f for f in self.received if isinstance(f, Done | Failed) and f.job == job), None
        )

    async def wait_for(self, is_true: Callable[[], object]) -> None:
        """Wait until something holds; asked again at each frame."""
        async with asyncio.timeout(WAIT_S), self._changed:
            await self._changed.wait_for(lambda: bool(is_true()))

    async def wait_for_ending(self, job: str) -> Done | Failed:
        """Wait for a job's last frame."""
        await self.wait_for(lambda: self.ending(job))
        ending = self.ending(job)
        assert ending is not None  # noqa: S101  the line above waited for it
        return ending

    async def listen(self) -> None:
        """Collect what comes until the connection ends."""
        try:
            async for raw in self.websocket:
                frame = codec.decode_from_instance(raw)
                async with self._changed:
                    self.raw_count += 1
                    self.received.extend(frame.frames if isinstance(frame, Batch) else [frame])
                    self._changed.notify_all()
        except ConnectionClosed:
            pass
        async with self._changed:
            self._changed.notify_all()


class ScriptedRouter:
    """Accepts instances, or refuses them as told; use as an asynchronous context."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self.on_hello: Callable[[Hello], Welcome | None] = welcome_all
        self.refuse_with: tuple[int, dict[str, str]] | None = None
        self.refused_count = 0
        self.visits_count = 0  # connections that ended without a word
        self._server: Server | None = None
        self._arrivals: asyncio.Queue[InstanceSide] = asyncio.Queue()

    @property
    def url(self) -> str:
        """The address to give to an instance."""
        port = self._server.sockets[0].getsockname()[1] if self._server else 0
        place = "wss://localhost" if self._tls else "ws://127.0.0.1"
        return f"{place}:{port}/ws/instances/"

    async def next_instance(self, wait_s: float = WAIT_S) -> InstanceSide:
        """Wait for the next welcomed connection."""
        async with asyncio.timeout(wait_s):
            return await self._arrivals.get()

    async def __aenter__(self) -> Self:
        self._server = await serve(
            self._serve,
            "127.0.0.1",
            0,
            subprotocols=[Subprotocol(limits.PROTOCOL)],
            process_request=self._process_request,
            compression=None,
            max_size=2 * limits.MAX_FRAME_BYTES,
            close_timeout=1,
            ping_interval=None,
            ssl=self._tls,
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    def _process_request(self, connection: ServerConnection, request: Request) -> Response | None:
        if self.refuse_with is None:
            return None
        self.refused_count += 1
        status, headers = self.refuse_with
        body = b'{"error": {"code": "refused", "message": "as told"}}'
        phrase = HTTPStatus(status).phrase
        return Response(status, phrase, Headers(headers | {"Connection": "close"}), body)

    async def _serve(self, websocket: ServerConnection) -> None:
        try:
            hello = codec.decode_from_instance(await websocket.recv())
        except ConnectionClosed:
            self.visits_count += 1
            return
        assert isinstance(hello, Hello)  # noqa: S101  a test wants to know
        welcome = self.on_hello(hello)
        if welcome is None:
            await websocket.wait_closed()
            return
        side = InstanceSide(websocket, hello, welcome)
        await side.send(welcome)
        self._arrivals.put_nowait(side)
        await side.listen()
