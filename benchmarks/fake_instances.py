"""Many instances that compute nothing, in one process; it is asked by lines (`benchmarks.told`).

An answer has as many tokens as the job may have at most, at an even rate, one frame a token.
"""

import argparse
import asyncio
import os
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

import uvloop
import websockets

from benchmarks import told
from motherfluxer_wire.codec import decode_from_router, encode
from motherfluxer_wire.frames import (
    Cancel,
    Chunk,
    Done,
    Frame,
    Heartbeat,
    Hello,
    Job,
    Model,
    Usage,
    Welcome,
)

MODEL: Final = "fake"
LINKING_AT_ONCE: Final = 16


@dataclass
class Tally:
    """What the instances of this process saw."""

    linked: int = 0
    jobs: int = 0
    tokens: int = 0
    late_beats: int = 0
    closed: Counter[str] = field(default_factory=Counter)

    def told(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {**vars(self), "closed": dict(self.closed)}


class FakeInstance:
    """One link, linked anew whenever it breaks."""

    def __init__(self, options: argparse.Namespace, name: str, tally: Tally) -> None:
        self._options = options
        self._name = name
        self._tally = tally
        self._jobs: dict[str, asyncio.Task[None]] = {}

    async def run(self, linking: asyncio.Semaphore) -> None:
        """Link, and link again after each break."""
        while True:
            try:
                await self._link(linking)
            except (OSError, websockets.WebSocketException, TimeoutError) as error:
                self._tally.closed[type(error).__name__] += 1
            await asyncio.sleep(1.0)

    async def _link(self, linking: asyncio.Semaphore) -> None:
        headers = {"Authorization": f"Bearer {os.environ[told.VARIABLE]}"}
        async with linking:
            link = await websockets.connect(
                self._options.url,
                additional_headers=headers,
                subprotocols=[websockets.Subprotocol("motherfluxer.v1")],
                compression=None,
                open_timeout=30,
                ping_interval=None,
            )
            model = Model(name=MODEL, context_tokens=8192, max_output_tokens=8192)
            hello = Hello("fake/1", self._name, [model], self._options.slots)
            await link.send(encode(hello))
            welcome = decode_from_router(await link.recv())
        assert isinstance(welcome, Welcome), welcome
        self._tally.linked += 1
        beating = asyncio.create_task(self._beat(link, welcome.heartbeat_s))
        try:
            async for data in link:
                self._take(link, decode_from_router(data))
        finally:
            self._tally.linked -= 1
            self._tally.closed[str(link.close_code)] += 1
            for task in (beating, *self._jobs.values()):
                task.cancel()
            self._jobs.clear()

    async def _beat(self, link: websockets.ClientConnection, every_s: float) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            await link.send(encode(Heartbeat(list(self._jobs), self._options.slots)))
            due += every_s
            if (wait_s := due - loop.time()) > 0:
                await asyncio.sleep(wait_s)
            elif wait_s < -every_s:
                self._tally.late_beats += 1
                due = loop.time()

    def _take(self, link: websockets.ClientConnection, frame: Frame) -> None:
        match frame:
            case Job():
                self._tally.jobs += 1
                self._jobs[frame.job] = asyncio.create_task(self._answer(link, frame))
            case Cancel() if task := self._jobs.pop(frame.job, None):
                task.cancel()

    async def _answer(self, link: websockets.ClientConnection, job: Job) -> None:
        loop = asyncio.get_running_loop()
        begun, count = loop.time(), job.sampling.max_tokens or 1
        for seq in range(count):
            if (wait_s := begun + seq / self._options.rate - loop.time()) > 0.001:
                await asyncio.sleep(wait_s)
            self._tally.tokens += 1
            await link.send(encode(Chunk(job.job, job.attempt, seq, f"{seq} ", 1)))
        done = Done(job.job, job.attempt, count, "length", Usage(8, count))
        self._jobs.pop(job.job, None)
        await link.send(encode(done))


async def _main(options: argparse.Namespace) -> None:
    tally = Tally()
    linking = asyncio.Semaphore(LINKING_AT_ONCE)
    instances = [FakeInstance(options, f"{options.name}-{n}", tally) for n in range(options.links)]
    running = [asyncio.create_task(instance.run(linking)) for instance in instances]
    await told.answer(tally.told, lambda: None)
    for task in running:
        task.cancel()


def main() -> None:
    """Link and answer."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--links", type=int, required=True)
    parser.add_argument("--slots", type=int, required=True)
    parser.add_argument("--rate", type=float, required=True)
    uvloop.run(_main(parser.parse_args()))


if __name__ == "__main__":
    main()
