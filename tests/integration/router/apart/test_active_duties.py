"""What the active router writes into the database and learns from it, and what it lets go of."""

import asyncio
import gc
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import pytest
from asgiref.sync import sync_to_async
from django.db import DatabaseError, connections
from msgspec.structs import replace

from apps.router import ports
from apps.router.apart import duties
from apps.router.apart.duties import ActiveDuties
from apps.router.core.cluster import Cluster
from apps.router.core.cluster_step import cluster_step
from apps.router.core.effects import Effect, RecordAttemptEnd, RecordDecision, RequeueJob
from apps.router.core.events import CatalogChanged, ModelsKnown
from apps.router.core.values import Alias, AliasTarget, Decision
from apps.router.models import LogEntry
from apps.router.ports import AliasEntry, AliasTargetEntry, CatalogRouting
from apps.router.records import selectors, services
from apps.router.records.chain import Place
from apps.router.records.entries import Gap, Recorded
from tests.unit.router.records.samples import decision, ended

pytestmark = pytest.mark.django_db(transaction=True)

ROUTING = CatalogRouting(
    aliases=(AliasEntry(name="chat", targets=(AliasTargetEntry(model_name="phi", weight=1.0),)),),
    forbidden=frozenset({"bad"}),
)
CATALOG = CatalogChanged(
    aliases=(Alias("chat", (AliasTarget("phi", 1.0, None),)),), forbidden=("bad",)
)


class Database:
    """What other apps know; away for the first questions."""

    def __init__(self, away_count: int) -> None:
        self.away_count = away_count

    async def known_models(self) -> frozenset[str]:
        self._answer()
        return frozenset({"phi"})

    async def routing(self) -> CatalogRouting:
        self._answer()
        return ROUTING

    def _answer(self) -> None:
        self.away_count -= 1
        if self.away_count >= 0:
            raise DatabaseError("away")


@pytest.fixture(autouse=True)
async def _no_connection_left() -> AsyncIterator[None]:
    yield
    await sync_to_async(connections.close_all)()


@pytest.fixture(autouse=True)
def database(monkeypatch: pytest.MonkeyPatch) -> Database:
    """Return what stands for the other apps' tables."""
    database = Database(away_count=2)
    monkeypatch.setattr(ports.instance_gate, "_object", database)
    monkeypatch.setattr(ports.model_catalog, "_object", database)
    monkeypatch.setattr(duties, "CATALOG_CHECK_S", 0.01)
    return database


@asynccontextmanager
async def acting(last: list[Effect]) -> AsyncIterator[tuple[ActiveDuties, Cluster]]:
    active, cluster = ActiveDuties(), Cluster(salt=b"salt")
    active.began(cluster, last)
    yield active, cluster
    active.ended()
    await active.finish()


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not is_so():  # noqa: ASYNC110 # threads that write have no event here
            await asyncio.sleep(0.01)


def effects_of(*job_ids: str) -> list[Effect]:
    found: list[Effect] = []
    for job_id in job_ids:
        found += [RecordDecision(decision(job_id)), RecordAttemptEnd(ended(job_id))]
    return found


@sync_to_async
def written() -> list[tuple[str, str]]:
    return sorted(LogEntry.objects.values_list("job_id", "kind"))


def decisions_in_memory(job_ids: frozenset[str]) -> int:
    """Count those jobs' decisions, asking no other object: libraries' own may warn when asked."""
    gc.collect()
    return sum(type(one) is Decision and one.job_id in job_ids for one in gc.get_objects())


async def test_what_it_is_to_keep_is_written_and_then_let_go_of() -> None:
    job_ids = frozenset(f"kept-{number}" for number in range(50))
    async with acting([]) as (active, _):
        for job_id in job_ids:
            for effect in effects_of(job_id):
                active.keep(effect)
        active.keep(RequeueJob("kept-1"))
        assert decisions_in_memory(job_ids) == 50
        await until(lambda: decisions_in_memory(job_ids) == 0)
    assert len(await written()) == 100


async def test_what_waits_when_it_ends_is_written() -> None:
    async with acting([]) as (active, _):
        for effect in effects_of("a"):
            active.keep(effect)
    assert await written() == [("a", "decision"), ("a", "ended")]


async def test_what_the_router_before_had_not_written_is_added_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    half, none = decision("half"), decision("none")
    await sync_to_async(services.log_append)(recorded=[Recorded.by_its_clock(half)])
    append, asked = services.log_append, []

    def away_at_first(*, recorded: Sequence[Recorded | Gap], is_shared: bool) -> Place:
        asked.append(recorded)
        if len(asked) == 1:
            raise DatabaseError("away")
        return append(recorded=recorded, is_shared=is_shared)

    monkeypatch.setattr(services, "log_append", away_at_first)
    last = [*effects_of("half"), RecordDecision(none)]
    async with acting(last):
        await until(lambda: len(asked) == 2)
        async with asyncio.timeout(20):
            while len(await written()) < 3:  # noqa: ASYNC110 # as above
                await asyncio.sleep(0.01)
    assert await written() == [("half", "decision"), ("half", "ended"), ("none", "decision")]


async def test_the_core_is_told_of_models_and_the_catalog_until_it_has_heard() -> None:
    async with acting([]) as (active, cluster):
        await until(lambda: len(active.news(cluster)) == 2)
        assert active.news(cluster) == [ModelsKnown(("phi",)), CATALOG]
        cluster_step(cluster, "router", 0, active.news(cluster), 1000, token=1)
        assert active.news(cluster) == []
        cluster_step(cluster, "router", 0, [CatalogChanged()], 1000, token=1)
        assert active.news(cluster) == [CATALOG]


async def test_what_a_paused_router_writes_after_the_next_stands_there_once() -> None:
    paused = ActiveDuties()
    last = [*effects_of("a", "b"), RecordAttemptEnd(replace(ended("a"), at=7.0))]
    for effect in last:
        paused.keep(effect)
    async with acting(last) as (active, _):
        async with asyncio.timeout(20):
            while len(await written()) < 5:  # noqa: ASYNC110 # as above
                await asyncio.sleep(0.01)
        paused.ended()
        await paused.finish()
        for effect in effects_of("c"):
            active.keep(effect)
    ends = [("a", "ended")] * 2  # it was lost, and went on over another link
    others = [("a", "decision"), *((job, kind) for job in "bc" for kind in ("decision", "ended"))]
    assert await written() == sorted([*ends, *others])
    await sync_to_async(selectors.log_verify)()
