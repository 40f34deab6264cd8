"""An instance and a reader in the test's own event loop, both on real sockets.

The instance speaks the protocol frame by frame and does only what the test tells it: whatever a
broken, slow or malicious one might do.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Any, Final

import httpx
import websockets
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.sites import Site

PATIENCE_S: Final = 60.0
Job = dict[str, Any]
JobWork = Callable[["RawInstance", Job], Awaitable[None]]


class RawInstance:
    """One websocket that beats by itself; jobs are taken from `jobs`, or given to `work`."""

    def __init__(self, link: ClientConnection, name: str, work: JobWork | None) -> None:
        self.link = link
        self.name = name
        self.jobs: asyncio.Queue[Job] = asyncio.Queue()
        self.cancelled: asyncio.Queue[Job] = asyncio.Queue()
        self.running: dict[str, Job] = {}
        self.welcome: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self.slots = 1
        self.is_beating = True
        self._work = work
        self._tasks: set[asyncio.Task[None]] = set()

    async def say(self, **frame: Any) -> None:
        """Send a frame."""
        await self.link.send(json.dumps(frame))

    async def next_job(self) -> Job:
        """Wait for the next job."""
        async with asyncio.timeout(PATIENCE_S):
            return await self.jobs.get()

    async def chunk(self, job: Job, seq: int, text: str) -> None:
        """Send a piece of one token."""
        await self.say(type="chunk", **_ids(job), seq=seq, text=text, tokens=1)

    async def done(self, job: Job, seq: int, reason: str = "stop") -> None:
        """End an attempt."""
        self.running.pop(job["job"], None)
        usage = {"prompt_tokens": 1, "completion_tokens": seq}
        await self.say(type="done", **_ids(job), seq=seq, finish_reason=reason, usage=usage)

    async def fail(self, job: Job, code: str, seq: int = 0) -> None:
        """Fail an attempt."""
        self.running.pop(job["job"], None)
        words = {"code": code, "message": "lab says no", "retryable": True}
        await self.say(type="failed", **_ids(job), seq=seq, **words)

    async def echo(self, job: Job, tokens: Iterable[str], *, delay_s: float = 0.0) -> None:
        """Say what of these tokens comes after the job's prefix, and end."""
        told, seq = "", 0
        for token in tokens:
            told += token
            if len(told) > len(job["prefix"]):
                await asyncio.sleep(delay_s)
                await self.chunk(job, seq, token)
                seq += 1
        await self.done(job, seq)

    async def serve(self) -> None:
        """Read frames until the link ends."""
        with contextlib.suppress(ConnectionClosed):
            async for raw in self.link:
                await self._hear(json.loads(raw))

    async def beat(self) -> None:
        """Send heartbeats that name what runs, while the test lets it."""
        heartbeat_s = (await self.welcome)["heartbeat_s"]
        with contextlib.suppress(ConnectionClosed):
            while True:
                if self.is_beating:
                    await self.say(type="heartbeat", running=[*self.running], slots=self.slots)
                await asyncio.sleep(heartbeat_s)

    async def close_of(self) -> tuple[int, str]:
        """Wait until the router has closed the link; return code and reason."""
        async with asyncio.timeout(PATIENCE_S):
            await self.link.wait_closed()
        return self.link.close_code or 0, self.link.close_reason or ""

    async def end(self) -> None:
        """Cancel what still works on a job."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _hear(self, frame: dict[str, Any]) -> None:
        if frame["type"] == "welcome":
            self.welcome.set_result(frame)
        elif frame["type"] == "cancel":
            self.cancelled.put_nowait(frame)
        elif frame["type"] == "job":
            self.running[frame["job"]] = frame
            if self._work is None:
                self.jobs.put_nowait(frame)
            else:
                task = asyncio.ensure_future(self._do(self._work, frame))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _do(self, work: JobWork, job: Job) -> None:
        with contextlib.suppress(ConnectionClosed):
            await work(self, job)


@contextlib.asynccontextmanager
async def raw_instance(
    port: int,
    credential: str,
    name: str,
    *,
    model: str = "raw",
    slots: int = 1,
    can_continue: bool = True,
    work: JobWork | None = None,
) -> AsyncIterator[RawInstance]:
    """Yield an instance that the router has welcomed."""
    capabilities = ["chat", "continue"] if can_continue else ["chat"]
    served = {"context_tokens": 8192, "max_output_tokens": 4096, "capabilities": capabilities}
    async with connect(
        f"ws://127.0.0.1:{port}/ws/instances/",
        additional_headers={"Authorization": f"Bearer {credential}"},
        subprotocols=[websockets.Subprotocol("motherfluxer.v1")],
        compression=None,
        ping_interval=None,
        close_timeout=1,
    ) as link:
        instance = RawInstance(link, name, work)
        instance.slots = slots
        hello = {"agent": "raw/1", "instance": name, "slots": slots}
        await instance.say(type="hello", **hello, models=[{"name": model, **served}])
        tasks = [asyncio.create_task(instance.serve()), asyncio.create_task(instance.beat())]
        try:
            async with asyncio.timeout(PATIENCE_S):
                await instance.welcome
            yield instance
        finally:
            await instance.end()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


class Answer:
    """One streamed chat completion, read in the background."""

    def __init__(self, client: httpx.AsyncClient, body: dict[str, Any]) -> None:
        self.text = ""
        self.status = 0
        self.headers: dict[str, str] = {}
        self.finish_reason: str | None = None
        self.error: dict[str, Any] | None = None
        self.may_read = asyncio.Event()
        self.may_read.set()
        self._changed = asyncio.Event()
        self.task = asyncio.create_task(self._read(client, body))

    async def has(self, text: str) -> None:
        """Wait until the text so far is at least this. Raises AssertionError if it becomes another.

        An answer that ends before ends the waiting too.
        """
        async with asyncio.timeout(PATIENCE_S):
            while len(self.text) < len(text) and not self.task.done():
                self._changed.clear()
                await asyncio.wait(
                    [self.task, waiting := asyncio.ensure_future(self._changed.wait())],
                    return_when=asyncio.FIRST_COMPLETED,
                )
                waiting.cancel()
        assert self.text.startswith(text), (self.status, self.text, self.error)

    async def whole(self) -> str:
        """Wait for the end; return the text."""
        async with asyncio.timeout(PATIENCE_S):
            await self.task
        return self.text

    async def _read(self, client: httpx.AsyncClient, body: dict[str, Any]) -> None:
        async with client.stream("POST", "/v1/chat/completions", json=body) as response:
            self.status, self.headers = response.status_code, dict(response.headers)
            if self.status != 200:
                self.error = json.loads(await response.aread())["error"]
                return
            async for line in response.aiter_lines():
                await self.may_read.wait()
                if line.startswith("data: {"):
                    self._take(json.loads(line[6:]))

    def _take(self, event: dict[str, Any]) -> None:
        self.error = event.get("error")
        for choice in event.get("choices", ()):
            self.finish_reason = choice["finish_reason"]
            self.text += choice["delta"].get("content") or ""
        self._changed.set()


class Reader:
    """A user of `/v1` with any number of answers at once."""

    def __init__(self, site: Site, key: str) -> None:
        self.client = httpx.AsyncClient(
            base_url=site.url,
            headers={"Authorization": f"Bearer {key}"},
            limits=httpx.Limits(max_connections=None),
            timeout=PATIENCE_S,
            trust_env=False,
        )

    def ask(self, question: str, *, model: str = "raw", **options: Any) -> Answer:
        """Ask; the answer is read in the background."""
        message = {"role": "user", "content": question}
        return Answer(
            self.client, {"model": model, "messages": [message], "stream": True, **options}
        )


@contextlib.asynccontextmanager
async def reader_of(site: Site, key: str) -> AsyncIterator[Reader]:
    """Yield a reader and close its connections."""
    reader = Reader(site, key)
    async with reader.client:
        yield reader


def _ids(job: Job) -> dict[str, Any]:
    return {"job": job["job"], "attempt": job["attempt"]}
