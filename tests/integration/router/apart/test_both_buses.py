"""Both ways from gateways to the router and back keep the same promises."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Protocol

import pytest

from apps.router.apart.connection import redis_connected
from apps.router.apart.lease import Lease
from apps.router.apart.letter_codec import encode_letter
from apps.router.apart.numbering import batch_payload
from apps.router.apart.post import Post
from apps.router.apart.router_post import RouterPost, Writing
from apps.router.core.effects import Effect, RequeueJob
from apps.router.core.events import Event, JobCancelled
from apps.router.live.bus import InProcessBus
from tests.servers import running_valkey_server

COUNT = 200


class Line(Protocol):
    """Events go to a router that answers each with two effects."""

    heard: list[str]
    done: list[str]

    def tell(self, event: Event) -> None:
        """Hand an event to the router."""
        ...


class Record:
    """What came to either end."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.done: list[str] = []

    def handle(self, event: Event) -> list[Effect]:
        assert isinstance(event, JobCancelled)
        self.heard.append(event.job_id)
        return [RequeueJob(f"{event.job_id}.{part}") for part in (1, 2)]

    def perform(self, effect: Effect) -> None:
        assert isinstance(effect, RequeueJob)
        self.done.append(effect.job_id)


class InOneProcess(Record):
    """A bus in one process."""

    def __init__(self) -> None:
        super().__init__()
        self._bus = InProcessBus()
        self._bus.connect(handle=self.handle, perform=self.perform)

    def tell(self, event: Event) -> None:
        self._bus.publish(event)


class OverRedis(Record):
    """A gateway's post, and a router that writes by its lease."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.url = url
        self.post = Post(redis_url=url, gateway_id="a")
        self.post.inbox.receive_effects = self._perform_all

    def tell(self, event: Event) -> None:
        self.post.tell_router(event)

    def _perform_all(self, found: list[Effect]) -> None:
        for effect in found:
            self.perform(effect)

    async def route(self) -> None:
        read_to, number = "0", 0
        async with redis_connected(self.url) as redis:
            router, lease = RouterPost(redis), Lease(redis, name="r", lasts_ms=60_000)
            token = await lease.take()
            assert token is not None
            while True:
                parts: list[bytes] = []
                for entry in await router.read(read_to, block_ms=100):
                    read_to = entry.id
                    for letter in entry.letters:
                        if isinstance(letter, JobCancelled):
                            parts += map(encode_letter, self.handle(letter))
                if parts:
                    writing = Writing(effects=[("a", number, batch_payload(parts))])
                    assert await router.write(lease.mark(token), token, writing)
                    number += len(parts)


@asynccontextmanager
async def in_one_process(_: Path) -> AsyncIterator[Line]:
    yield InOneProcess()


@asynccontextmanager
async def over_redis(folder: Path) -> AsyncIterator[Line]:
    with running_valkey_server(folder) as valkey:
        line = OverRedis(valkey.url)
        await line.post.start()
        router = asyncio.create_task(line.route())
        yield line
        while not router.done():
            router.cancel()
            await asyncio.wait({router}, timeout=0.1)
        await line.post.stop(within_s=5)


Way = Callable[[Path], AbstractAsyncContextManager[Line]]


@pytest.fixture(params=[in_one_process, over_redis])
def way(request: pytest.FixtureRequest) -> Way:
    found: Way = request.param
    return found


async def test_events_and_effects_arrive_once_in_order(way: Way, tmp_path: Path) -> None:
    jobs = [f"j{number}" for number in range(COUNT)]
    async with way(tmp_path) as line, asyncio.timeout(20):
        for number, job in enumerate(jobs):
            line.tell(JobCancelled(job, "why"))
            if number % 7 == 0:
                await asyncio.sleep(0)
        while len(line.done) < 2 * COUNT:  # noqa: ASYNC110 # no event tells it
            await asyncio.sleep(0.01)
        assert line.heard == jobs
        assert line.done == [f"{job}.{part}" for job in jobs for part in (1, 2)]
