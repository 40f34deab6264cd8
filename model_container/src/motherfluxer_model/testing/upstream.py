"""A fake OpenAI-compatible server for tests: real HTTP on loopback, hostile where it is told so."""

import asyncio
import json
from collections import deque
from collections.abc import Callable, Sequence
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self

from motherfluxer_model.testing.parrot import Habits, Parrot, Refusal

WAIT_S = 20.0
STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
)


class Cut:
    """A part of a script: the connection is reset here."""


CUT = Cut()
Part = bytes | str | asyncio.Event | Cut | Refusal


class FakeUpstream:
    """Lists models, answers by its parrot, or as `scripts` says; an asynchronous context.

    A script is the body of one stream, part by part: bytes are sent as they are, a text as the
    data of one event, an event of asyncio is waited for, `CUT` resets the connection; a `Refusal`
    stands alone. Each script serves one POST whose first message begins with "script".
    """

    def __init__(self, habits: Habits | None = None) -> None:
        self.parrot = Parrot(habits or Habits())
        self.models: list[dict[str, Any]] = [{"id": "org/parrot", "max_model_len": 1000}]
        self.models_refusal: Refusal | None = None
        self.key = ""
        self.scripts: deque[Sequence[Part]] = deque()
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self.hang_ups_count = 0  # streams whose reader left before their end
        self._server: asyncio.Server | None = None
        self._port = 0
        self._changed = asyncio.Condition()
        self._connections: set[asyncio.StreamWriter] = set()
        self._serving: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """The base address; the same after a restart."""
        return f"http://127.0.0.1:{self._port}/v1"

    async def start(self) -> None:
        """Listen, on the same port as before if there was one."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Die: nobody listens any more, and every connection is reset."""
        if self._server is not None:
            self._server.close()
        for writer in list(self._connections):
            writer.transport.abort()
        if self._serving:
            await asyncio.wait(self._serving)
        if self._server is not None:
            await self._server.wait_closed()

    async def wait_for(self, is_true: Callable[[], object]) -> None:
        """Wait until something holds; asked again at each request and hang-up."""
        async with asyncio.timeout(WAIT_S), self._changed:
            await self._changed.wait_for(lambda: bool(is_true()))

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections.add(writer)
        try:
            while await self._serve_request(reader, writer):
                pass
        except (OSError, asyncio.IncompleteReadError):
            pass  # the client left
        finally:
            self._connections.discard(writer)
            writer.close()

    async def _serve_request(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """Serve one request; tell whether another may follow."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        method, path, _ = head.split(" ", 2)
        headers = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if line)
        data = await reader.readexactly(int(headers.get("content-length", "0")))
        if self.key and headers.get("authorization") != f"bearer {self.key}".lower():
            return await _refuse(writer, Refusal(401, "wrong key"))
        if method == "GET":
            return await self._serve_get(writer, path)
        body = json.loads(data)
        async with self._changed:
            self.requests.append((path, body))
            self._changed.notify_all()
        return await self._serve_post(reader, writer, path, body)

    async def _serve_get(self, writer: asyncio.StreamWriter, path: str) -> bool:
        if path != "/v1/models":
            return await _refuse(writer, Refusal(404, "Not Found"))
        if self.models_refusal is not None:
            return await _refuse(writer, self.models_refusal)
        return await _send_json(writer, 200, {"object": "list", "data": self.models})

    async def _serve_post(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        path: str,
        body: dict[str, Any],
    ) -> bool:
        if self.scripts and _is_scripted(body):
            script = self.scripts.popleft()
        else:
            answer = self.parrot.answer(path, body)
            script = [answer] if isinstance(answer, Refusal) else answer.events
        if script and isinstance(script[0], Refusal):
            return await _refuse(writer, script[0])
        writer.write(STREAM_HEAD)
        watch = asyncio.create_task(reader.read(1))
        play = asyncio.create_task(self._play(script, writer))
        await asyncio.wait({watch, play}, return_when=asyncio.FIRST_COMPLETED)
        has_left = not play.done() or isinstance(play.exception(), OSError)
        for task in (watch, play):
            task.cancel()
        await asyncio.wait({watch, play})
        if not has_left:
            return play.result()
        async with self._changed:
            self.hang_ups_count += 1
            self._changed.notify_all()
        return False

    async def _play(self, script: Sequence[Part], writer: asyncio.StreamWriter) -> bool:
        for part in script:
            if isinstance(part, asyncio.Event):
                await part.wait()
            elif isinstance(part, Cut):
                await writer.drain()
                writer.transport.abort()
                return False
            elif isinstance(part, str | bytes):
                data = f"data: {part}\n\n".encode() if isinstance(part, str) else part
                writer.write(b"%x\r\n%b\r\n" % (len(data), data))
                await writer.drain()
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        return True


def _is_scripted(body: dict[str, Any]) -> bool:
    return str(body.get("messages", [{"content": ""}])[0]["content"]).startswith("script")


async def _refuse(writer: asyncio.StreamWriter, refusal: Refusal) -> bool:
    return await _send_json(
        writer, refusal.status, {"error": {"message": refusal.message}}, refusal.headers
    )


async def _send_json(
    writer: asyncio.StreamWriter, status: int, body: object, more: dict[str, str] | None = None
) -> bool:
    data = json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", "content-type: application/json"]
    lines += [f"content-length: {len(data)}", *(f"{k}: {v}" for k, v in (more or {}).items())]
    writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + data)
    await writer.drain()
    return True
