"""The API in this event loop: a client of plain ASGI, and an instance moved by hand."""

import asyncio
import json
import secrets
from dataclasses import dataclass, field
from typing import Any

from apps.api.asgi import application
from apps.router.live.links import CloseRequest, InstanceLink
from apps.router.live.runtime import LiveRouter
from apps.router.ports import Admission, Caller, CallRecord
from motherfluxer_wire import frames
from motherfluxer_wire.codec import decode_from_router

KEY = "mf_known"


class OneKeyGate:
    """Knows one key, and keeps what it is told."""

    def __init__(self) -> None:
        self.records: list[CallRecord] = []
        # The suite's Redis counts the requests of all tests.
        key_id = secrets.token_hex(6)
        self.caller = Caller(
            requester="user:7", user_id=7, key_id=key_id, requests_per_minute=100_000
        )

    async def identify(self, token: str | None, *, address: str = "") -> Caller | None:
        """Return the caller of the one key."""
        return self.caller if token == KEY else None

    def record(self, call: CallRecord) -> None:
        """Keep it."""
        self.records.append(call)

    async def flush(self) -> None:
        """Have nothing to write."""


@dataclass
class Call:
    """One request and what came back so far."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    pieces: list[bytes] = field(default_factory=list)
    is_over: bool = False
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    inbox: asyncio.Queue[dict[str, Any]] = field(default_factory=asyncio.Queue)
    task: asyncio.Task[None] | None = None

    async def send(self, message: dict[str, Any]) -> None:
        """Take what the application sends."""
        assert not self.is_over
        if message["type"] == "http.response.start":
            assert not self.status
            self.status = message["status"]
            self.headers = {k.decode(): v.decode() for k, v in message["headers"]}
        else:
            self.pieces.append(message["body"])
            self.is_over = not message.get("more_body", False)
        changed, self.changed = self.changed, asyncio.Event()
        changed.set()

    def hang_up(self) -> None:
        """Close the connection from the client's side."""
        self.inbox.put_nowait({"type": "http.disconnect"})

    async def body_holding(self, part: bytes) -> bytes:
        """Wait until the body holds something; return the body so far."""
        while part not in self.body:
            await self.changed.wait()
        return self.body

    async def end(self) -> "Call":
        """Wait for the end of the request."""
        assert self.task is not None
        await self.task
        return self

    @property
    def body(self) -> bytes:
        """What came of the body."""
        return b"".join(self.pieces)

    def json(self) -> Any:
        """Read the body as JSON."""
        return json.loads(self.body)

    @property
    def error(self) -> dict[str, Any]:
        """The error in the body, whose form is checked."""
        [(name, error)] = self.json().items()
        assert name == "error"
        assert set(error) == {"message", "type", "param", "code"}
        return dict(error)

    @property
    def events(self) -> list[Any]:
        """The data of the events that came; the last line of each is its data."""
        blocks = [b for b in self.body.decode().split("\n\n") if b and not b.startswith(":")]
        data = [block.rpartition("data: ")[2] for block in blocks]
        return [d if d == "[DONE]" else json.loads(d) for d in data]


def call(
    method: str,
    path: str,
    body: object = b"",
    *,
    key: str | None = KEY,
    host: str = "localhost:8000",
    headers: tuple[tuple[bytes, bytes], ...] = (),
    client: tuple[str, int] | None = None,
) -> Call:
    """Begin a request; `body` is bytes, or whatever is to be written as JSON."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    made = Call()
    made.inbox.put_nowait({"type": "http.request", "body": raw, "more_body": False})
    bearer = [(b"authorization", f"Bearer {key}".encode())] if key else []
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "scheme": "http",
        "client": client,
        "headers": [(b"host", host.encode()), *bearer, *headers],
    }
    made.task = asyncio.create_task(application(scope, made.inbox.get, made.send))
    return made


def chat(text: str = "Hello", **parameters: object) -> Call:
    """Begin a chat completion."""
    messages = [{"role": "user", "content": text}]
    body = {"model": "lab/echo", "messages": messages, **parameters}
    return call("POST", "/v1/chat/completions", body)


async def queued(router: LiveRouter, count: int) -> None:
    """Give way until so many jobs stand in the queue."""
    for _ in range(1000):
        if len(router.service.state.queue) == count:
            return
        await asyncio.sleep(0)
    raise AssertionError(f"{len(router.service.state.queue)} jobs are in the queue, not {count}")


class Instance:
    """A connected instance that does only what a test tells it."""

    def __init__(
        self,
        router: LiveRouter,
        name: str = "one",
        slots: int = 1,
        model_name: str = "lab/echo",
        **model: Any,
    ) -> None:
        admission = Admission(
            credential_id=name, credential_name=name, operator_email="operator@example.org"
        )
        self.router = router
        self.link = InstanceLink(session=f"session-{name}", admission=admission)
        figures = {"context_tokens": 100, "max_output_tokens": 50, **model}
        served = frames.Model(name=model_name, capabilities=["chat", "continue"], **figures)
        hello = frames.Hello(agent="lab/1", instance=name, models=[served], slots=slots)
        router.join(self.link, hello)
        self.seq = 0

    async def frame(self, kind: type[frames.Frame]) -> Any:
        """Take what the router sends until a frame of one kind comes."""
        while True:
            text = await self.link.outbox.get()
            assert not isinstance(text, CloseRequest), text.reason
            found = decode_from_router(text)
            if isinstance(found, kind):
                return found

    async def job(self) -> frames.Job:
        """Wait for the next job."""
        self.seq = 0
        taken: frames.Job = await self.frame(frames.Job)
        return taken

    def say(self, job: frames.Job, *texts: str) -> None:
        """Send pieces of the answer, a token each."""
        for text in texts:
            self._send(frames.Chunk(job.job, job.attempt, self.seq, text, 1))
            self.seq += 1

    def finish(self, job: frames.Job, reason: Any = "stop", cached: int | None = None) -> None:
        """End the answer."""
        usage = frames.Usage(prompt_tokens=3, completion_tokens=self.seq, cached_tokens=cached)
        self._send(frames.Done(job.job, job.attempt, self.seq, reason, usage))

    def fail(self, job: frames.Job, code: Any) -> None:
        """Fail the attempt."""
        self._send(frames.Failed(job.job, job.attempt, self.seq, code, "lab says no", False))

    def leave(self) -> None:
        """Break the link."""
        self.router.leave(self.link)

    def _send(self, frame: frames.Frame) -> None:
        self.router.gateway.frame_received(frame, self.link)
