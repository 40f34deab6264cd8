"""What Prometheus is told of routers that run apart, also after one has taken over."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from asgiref.sync import sync_to_async
from django.db import connections

from apps.operations.metrics import metrics_text
from apps.router.apart.connection import redis_connected
from apps.router.apart.duties import ActiveDuties
from apps.router.apart.gateway_process import ApartGateway
from apps.router.apart.lease import Lease
from apps.router.apart.post import Post
from apps.router.apart.router import RouterProcess
from apps.router.apart.router_post import RouterPost
from apps.router.core import effects, events, letters
from apps.router.core.effects import Effect
from apps.router.core.events import AttemptDone, AttemptFailed, Event
from apps.router.core.values import FailureCode, ServedModel, ServiceClass
from apps.router.live.runtime import running
from tests.servers import running_valkey

pytestmark = pytest.mark.django_db(transaction=True)

TINY = ServedModel(name="tiny", context_tokens=8192, max_output_tokens=4096)
A, SESSION = "aaaaaaaa", "aaaaaaaa.x"


@pytest.fixture
def redis_url(tmp_path: Path) -> Iterator[str]:
    with running_valkey(tmp_path) as url:
        yield url


@pytest.fixture(autouse=True)
async def _no_connection_left() -> AsyncIterator[None]:
    yield
    await sync_to_async(connections.close_all)()


@asynccontextmanager
async def router(url: str, name: str) -> AsyncIterator[None]:
    async with redis_connected(url) as redis:
        duties, post, lease = (
            ActiveDuties(),
            RouterPost(redis),
            Lease(redis, name=name, lasts_ms=2000),
        )
        process = RouterProcess(post=post, lease=lease, name=name, duties=duties)
        task = asyncio.create_task(process.run())
        yield
        process.stop()
        await task
        await duties.finish()


@asynccontextmanager
async def answering(url: str) -> AsyncIterator[Callable[[str, Event], None]]:
    """Be a gateway with one instance; yield a way to have a job end there by an event."""
    post = Post(redis_url=url, gateway_id=A)
    ends: dict[str, Event] = {}

    def receive(told: list[Effect]) -> None:
        for effect in told:
            if isinstance(effect, effects.AssignJob):
                post.tell_router(ends[effect.job_id])

    def submit(job_id: str, end: Event) -> None:
        ends[job_id] = end
        post.tell_router(events.JobSubmitted(job_id, "u", ServiceClass.REGISTERED))

    async def beat() -> None:
        while True:
            post.tell_router(events.HeartbeatReceived(SESSION, (), 1))
            await asyncio.sleep(0.2)

    post.inbox.receive_effects = receive
    post.tell_router(letters.GatewayCame("1"))
    post.tell_router(events.InstanceJoined(SESSION, "x", "x", (TINY,), 1))
    await post.start()
    beating = asyncio.create_task(beat())
    yield submit
    beating.cancel()
    await post.stop(within_s=5)


def value_of(name: str) -> float | None:
    found = re.findall(rf"^{re.escape(name)} (\S+)$", metrics_text().decode(), re.MULTILINE)
    return float(found[0]) if found else None


async def told(**values: float) -> None:
    """Return when takeovers and ends of attempts are told as these."""
    names = {name: f'motherfluxer_attempts_total{{outcome="{name}"}}' for name in values}
    names["failovers"] = "motherfluxer_failovers_total"
    async with asyncio.timeout(20):
        while {name: value_of(names[name]) for name in values} != values:  # noqa: ASYNC110 # as read
            await asyncio.sleep(0.05)


def done(job_id: str) -> Event:
    return AttemptDone(SESSION, job_id, 1, "stop")


async def test_takeovers_and_ends_of_attempts_are_the_routers(redis_url: str) -> None:
    async with (
        running(ApartGateway(redis_url=redis_url, own_id="bbbbbbbb")),
        answering(redis_url) as submit,
        contextlib.AsyncExitStack() as second,
    ):
        assert value_of("motherfluxer_failovers_total") is None, "nothing is known yet"
        assert value_of("motherfluxer_instances_online") is None
        assert value_of("motherfluxer_links") == 0
        async with router(redis_url, "r1"):
            await told(failovers=0)
            submit("a", done("a"))
            submit("b", AttemptFailed(SESSION, "b", 1, FailureCode.BAD_REQUEST, "no"))
            await told(done=1, refused=1, failovers=0)
            await second.enter_async_context(router(redis_url, "r2"))
        await told(done=1, refused=1, failovers=1)
        submit("c", done("c"))
        await told(done=2, refused=1, failovers=1)
        await second.aclose()
        async with asyncio.timeout(20):
            while value_of("motherfluxer_instances_online") is not None:  # noqa: ASYNC110 # as read
                await asyncio.sleep(0.05)
        assert value_of("motherfluxer_links") == 0
