"""Two routers over a real Redis: one acts, the other takes over, and nobody is told twice."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from redis.asyncio import Redis

from apps.router.apart import keys, router, window
from apps.router.apart.connection import redis_connected
from apps.router.apart.lease import Lease
from apps.router.apart.post import Post
from apps.router.apart.router import RouterProcess
from apps.router.apart.router_post import Entry, RouterPost
from apps.router.apart.snapshots import is_after
from apps.router.core import effects, events, letters
from apps.router.core.cluster import Cluster
from apps.router.core.effects import Effect
from apps.router.core.events import Event
from apps.router.core.values import ServedModel, ServiceClass
from tests.servers import Server, running_valkey_server

TINY = ServedModel(name="tiny", context_tokens=8192, max_output_tokens=4096, can_continue=True)
A = "aaaaaaaa"


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[Server]:
    with running_valkey_server(tmp_path) as server:
        yield server


class NoDuties:
    """Keeps what it is given."""

    witness = None

    def __init__(self) -> None:
        self.kept: list[Effect] = []
        self.is_on = False

    def began(self, cluster: Cluster, last: list[Effect]) -> None:
        self.is_on = True
        self.kept += last

    def ended(self) -> None:
        self.is_on = False

    def keep(self, effect: Effect) -> None:
        self.kept.append(effect)

    def news(self, cluster: Cluster) -> list[Event]:
        return []

    def view(self, cluster: Cluster) -> tuple[bytes, str] | None:
        return None


class Gateway:
    """A gateway's post, and a site's life in few words."""

    def __init__(self, url: str) -> None:
        self.post = Post(redis_url=url, gateway_id=A)
        self.effects: list[Effect] = []
        self.post.inbox.receive_effects = self.effects.extend
        self.post.tell_router(letters.GatewayCame("1"))

    def join(self) -> None:
        session = f"{A}.x"
        self.post.tell_router(events.InstanceJoined(session, "x", "x", (TINY,), 400))

    def submit(self, count: int, name: str) -> None:
        for number in range(count):
            job = events.JobSubmitted(f"{name}{number}", "u", ServiceClass.REGISTERED)
            self.post.tell_router(job)

    @property
    def assigned(self) -> list[str]:
        return [one.job_id for one in self.effects if isinstance(one, effects.AssignJob)]


class HeldPost(RouterPost):
    """Reads nothing while it is held, as a process that does not come to run."""

    def __init__(self, redis: "Redis[bytes]") -> None:
        super().__init__(redis)
        self.may_read = asyncio.Event()
        self.may_read.set()
        self.is_held = False
        self.reads_count = 0

    async def read(self, after_id: str, *, block_ms: int) -> list[Entry]:
        self.is_held = not self.may_read.is_set()
        await self.may_read.wait()
        found = await super().read(after_id, block_ms=block_ms)
        self.reads_count += 1
        return found


@asynccontextmanager
async def routers(url: str, *names: str) -> AsyncIterator[list[RouterProcess]]:
    async with contextlib.AsyncExitStack() as stack:
        found, tasks = [], []
        for name in names:
            redis = await stack.enter_async_context(redis_connected(url))
            found.append(
                RouterProcess(
                    post=HeldPost(redis),
                    lease=Lease(redis, name=name, lasts_ms=1000),
                    name=name,
                    duties=NoDuties(),
                )
            )
            tasks.append(asyncio.create_task(found[-1].run()))
        yield found
        for router in found:
            router.stop()
        await asyncio.gather(*tasks)


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not is_so():  # noqa: ASYNC110 # what comes from Redis has no event here
            await asyncio.sleep(0.01)


def active_of(found: list[RouterProcess]) -> RouterProcess | None:
    return next((router for router in found if router.token is not None), None)


async def test_one_acts_and_the_other_takes_over_when_it_leaves(valkey: Server) -> None:
    gateway = Gateway(valkey.url)
    async with routers(valkey.url, "r1", "r2") as found:
        await gateway.post.start()
        gateway.join()
        gateway.submit(50, "a")
        await until(lambda: len(gateway.assigned) == 50)
        first = active_of(found)
        assert first is not None
        assert [router.token is None for router in found].count(True) == 1
        first.stop()
        await until(lambda: first.token is None)
        gateway.submit(50, "b")
        await until(lambda: len(gateway.assigned) == 100)
        assert len(set(gateway.assigned)) == 100
        second = active_of(found)
        assert second is not None
        assert second is not first
        assert second.cluster is not None
        await until(lambda: second.cluster is not None and second.cluster.takeovers_count == 1)
        await gateway.post.stop(within_s=5)


async def test_both_end_and_the_next_goes_on_from_the_snapshot(valkey: Server) -> None:
    gateway = Gateway(valkey.url)
    await gateway.post.start()
    async with routers(valkey.url, "r1"):
        gateway.join()
        gateway.submit(20, "a")
        await until(lambda: len(gateway.assigned) == 20)
    gateway.submit(20, "b")
    async with routers(valkey.url, "r3"):
        await until(lambda: len(gateway.assigned) == 40)
        assert len(set(gateway.assigned)) == 40
    await gateway.post.stop(within_s=5)


async def test_what_came_while_no_router_acted_for_long_is_answered(
    valkey: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(window, "KEPT_S", 0.2)
    gateway = Gateway(valkey.url)
    await gateway.post.start()
    async with routers(valkey.url, "r1"):
        gateway.join()
        gateway.submit(1, "a")
        await until(lambda: gateway.assigned == ["a0"])
    gateway.post.tell_router(events.AttemptDone(f"{A}.x", "a0", 1, "stop", 1, 1, 0))
    await asyncio.sleep(2.5)  # meanwhile it says that it lives, more than once
    async with routers(valkey.url, "r3"):
        await until(lambda: any(isinstance(one, effects.FinishJob) for one in gateway.effects))
    await gateway.post.stop(within_s=5)


async def test_redis_that_lost_its_data_takes_nothing_from_the_routers(
    valkey: Server,
) -> None:
    gateway = Gateway(valkey.url)
    async with routers(valkey.url, "r1", "r2") as found:
        await gateway.post.start()
        gateway.join()
        gateway.submit(30, "a")
        await until(lambda: len(gateway.assigned) == 30)
        await until(lambda: all(one.cluster is not None for one in found))  # the standby, too
        valkey.kill9()
        gateway.submit(30, "b")
        valkey.start()
        await until(lambda: len(gateway.assigned) == 60)
        assert len(set(gateway.assigned)) == 60
        active = active_of(found)
        assert active is not None
        assert active.cluster is not None
        assert len(active.cluster.state.jobs) == 60
        await gateway.post.stop(within_s=5)


async def test_a_router_that_knows_nothing_asks_a_gateway_that_another_has_known(
    valkey: Server,
) -> None:
    gateway = Gateway(valkey.url)
    await gateway.post.start()
    async with routers(valkey.url, "r1"):
        gateway.join()
        gateway.submit(1, "a")
        await until(lambda: gateway.assigned == ["a0"])
    valkey.kill9()
    valkey.start()
    async with routers(valkey.url, "r2"):
        await until(lambda: letters.TellAnew() in gateway.effects)
        gateway.post.tell_router(letters.GatewayCame("1", is_anew=True))
        gateway.join()
        gateway.submit(1, "b")
        await until(lambda: gateway.assigned == ["a0", "b0"])
    await gateway.post.stop(within_s=5)


async def trimmed_beyond_now(url: str) -> None:
    """Return when nothing that stands in the stream now stands there any more."""
    async with redis_connected(url) as redis, asyncio.timeout(20):
        [(newest, _)] = await redis.xrevrange(keys.EVENTS, count=1)
        while not is_after(await RouterPost(redis).first_id() or "0", newest.decode()):  # noqa: ASYNC110 # as above
            await asyncio.sleep(0.01)


async def test_standby_that_missed_what_was_trimmed_begins_from_the_snapshot(
    valkey: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(router, "STALE_S", 0.5)
    monkeypatch.setattr(router, "SNAPSHOT_S", 0.6)
    gateway = Gateway(valkey.url)
    async with routers(valkey.url, "r1", "r2") as found:
        await gateway.post.start()
        gateway.join()
        await until(lambda: active_of(found) is not None)
        [standby] = [one for one in found if one.token is None]
        await until(lambda: standby.cluster is not None and A in standby.cluster.gateways)
        held = standby.post
        assert isinstance(held, HeldPost)
        await until(lambda: held.reads_count > 1)
        held.may_read.clear()
        await until(lambda: held.is_held)
        gateway.submit(30, "a")
        await until(lambda: len(gateway.assigned) == 30)
        await trimmed_beyond_now(valkey.url)
        [active] = [one for one in found if one is not standby]
        active.stop()
        await until(lambda: active.token is None)
        held.may_read.set()
        gateway.submit(30, "b")
        await until(lambda: len(gateway.assigned) == 60)
        assert len(set(gateway.assigned)) == 60
        assert standby.cluster is not None
        assert len(standby.cluster.state.jobs) == 60
        await gateway.post.stop(within_s=5)
