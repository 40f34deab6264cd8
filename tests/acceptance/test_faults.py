"""A hundred readers, four web processes, two routers, PostgreSQL and Redis: each is taken away.

Nothing that a reader was shown is lost, and nothing is shown twice.
"""

import asyncio
import re
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from benchmarks.sites import running_site
from tests.acceptance.balancer import Balancer, open_balancer
from tests.acceptance.crowd import Crowd, api_answer, api_question, question_of
from tests.acceptance.visitors import Visitor
from tests.servers import Server, running_postgres, running_valkey_server
from tests.sites import Program, Site, wait_until

READERS = 100
INSTANCES = 4
HANDS = ThreadPoolExecutor(max_workers=4)
DELAY = {"MOTHERFLUXER_ECHO_DELAY_MS": "120"}
LIMITS = {
    "DEMO_LIMIT": "1000/day",
    "DEMO_ADDRESS_LIMIT": "100000/hour",
    "DEMO_CEILING": "100000/minute",
    "DEMO_ADDRESS_RUNNING": "10000",
}


@dataclass
class Stage:
    """A whole site and the servers under it."""

    site: Site
    postgres: Server
    redis: Server
    redis_folder: Path

    @property
    def webs(self) -> list[Site]:
        """The web processes."""
        return [self.site, *self.site.webs]

    def active_router(self) -> Program:
        """Return the router that acts, by its log."""
        latest = {
            int(token): router
            for router in self.site.routers
            for token in re.findall(r'"router active".*?"token": (\d+)', router.output)
        }
        return latest[max(latest)]

    def add_router(self) -> None:
        """Start another one, and wait until it follows."""
        router = self.site.add_router()
        wait_until(lambda: "router " in router.output, "router up")

    def forget_redis_data(self) -> None:
        """Have Redis, which does not run now, begin with nothing."""
        for path in self.redis_folder.glob("appendonlydir/*"):
            path.unlink()

    def standby_router(self) -> Program:
        """Return the other one."""
        active = self.active_router()
        return next(r for r in self.site.routers if r is not active and r.is_running)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with ExitStack() as stack:
        folders = [tmp_path_factory.mktemp(name) for name in ("postgres", "redis", "site")]
        postgres = stack.enter_context(running_postgres(folders[0]))
        redis = stack.enter_context(running_valkey_server(folders[1], keeps_data=True))
        urls = {"DATABASE_URL": postgres.url, "REDIS_URL": redis.url}
        site = stack.enter_context(running_site(folders[2], **urls, **LIMITS))
        for _ in range(3):
            site.add_web()
        stage = Stage(site, postgres, redis, folders[1])
        stage.add_router()
        yield stage


@pytest.fixture
async def balancer(stage: Stage) -> AsyncIterator[Balancer]:
    async with open_balancer([web.port for web in stage.webs]) as balancer:
        yield balancer


@pytest.fixture
async def visitors(stage: Stage, balancer: Balancer) -> AsyncIterator[list[Visitor]]:
    """A hundred visitors, and instances that reach the site as they do."""
    instances = [
        stage.site.start_instance(name=f"one-{number}", slots=64, env=DELAY, port=balancer.port)
        for number in range(INSTANCES)
    ]
    for instance in instances:
        await asyncio.to_thread(instance.wait_connected)
    found = [Visitor(stage.site, port=balancer.port) for _ in range(READERS)]
    yield found
    for visitor in found:
        await visitor.client.aclose()
    for instance in instances:
        await asyncio.to_thread(instance.stop)


async def act(doing: Callable[[], object]) -> None:
    """Do what waits for a process; not in the loop's own threads: its child would end with them."""
    await asyncio.get_running_loop().run_in_executor(HANDS, doing)


async def test_each_is_stopped_in_turn_and_nothing_is_lost(
    stage: Stage, balancer: Balancer, visitors: list[Visitor]
) -> None:
    key = await asyncio.to_thread(stage.site.api_key)
    crowd = Crowd(visitors)
    await crowd.begin()
    for router in (stage.active_router(), stage.standby_router()):
        assert crowd.reading_count
        await act(router.stop)
        await act(stage.add_router)
    for web in stage.webs:
        bodies = [api_question(number, words=60) for number in range(12)]
        programs = [
            asyncio.create_task(api_answer(stage.site, balancer.port, key, body)) for body in bodies
        ]
        await asyncio.sleep(2)
        assert crowd.reading_count
        assert web.program is not None
        await act(web.program.stop)
        for number, answer in enumerate(await asyncio.gather(*programs)):
            assert answer == question_of(number, words=60)
        await act(web.start)
    await crowd.finish()
    assert set(crowd.refused) <= {"shutting_down", "answer_running", "router_away"}


async def test_each_is_killed_in_turn_and_nothing_is_lost(
    stage: Stage, visitors: list[Visitor]
) -> None:
    crowd = Crowd(visitors)
    await crowd.begin()
    for victim in stage.webs[:2]:
        assert crowd.reading_count
        assert victim.program is not None
        await act(victim.program.kill9)
        await asyncio.sleep(5)
        await act(victim.start)
    assert crowd.reading_count
    await act(stage.active_router().kill9)
    await act(stage.add_router)
    await crowd.finish()


@pytest.mark.parametrize("with_its_data", [True, False])
async def test_redis_is_killed_and_nothing_is_lost(
    stage: Stage, visitors: list[Visitor], *, with_its_data: bool
) -> None:
    crowd = Crowd(visitors)
    await crowd.begin()
    assert crowd.reading_count
    await act(stage.redis.kill9)
    if not with_its_data:
        stage.forget_redis_data()
    await asyncio.sleep(1)
    await act(stage.redis.start)
    await asyncio.sleep(2)
    await crowd.finish()


async def test_database_is_away_and_nothing_is_lost(stage: Stage, visitors: list[Visitor]) -> None:
    *readers, newcomer = visitors
    crowd = Crowd(readers)
    await crowd.begin()
    await newcomer.page()
    assert crowd.reading_count
    await act(stage.postgres.stop)
    refused = await newcomer.try_ask("And me?")
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "database_away")
    await asyncio.sleep(20)
    await act(stage.postgres.start)
    await asyncio.sleep(1)
    await crowd.finish()
    assert (await newcomer.try_ask("And me?")).status_code == 201


async def test_both_routers_die_and_all_goes_on_by_itself(
    stage: Stage, visitors: list[Visitor]
) -> None:
    crowd = Crowd(visitors)
    await crowd.begin()
    assert crowd.reading_count
    for router in (stage.active_router(), stage.standby_router()):
        await act(router.kill9)
    await asyncio.sleep(3)
    await act(stage.add_router)
    await act(stage.add_router)
    await crowd.finish()


async def test_all_that_routers_knew_is_lost_and_web_processes_tell_it_anew(
    stage: Stage, visitors: list[Visitor]
) -> None:
    crowd = Crowd(visitors)
    await crowd.begin()
    await asyncio.sleep(11)  # what is written again after a loss is younger
    assert crowd.reading_count
    for router in (stage.active_router(), stage.standby_router()):
        await act(router.kill9)
    await act(stage.redis.kill9)
    stage.forget_redis_data()
    await act(stage.redis.start)
    await act(stage.add_router)
    await act(stage.add_router)
    await crowd.finish()
    for web in stage.webs:
        assert web.program is not None
        assert '"the router knows nothing"' in web.program.output


async def test_a_router_that_was_paused_never_acts_beside_the_next(
    stage: Stage, visitors: list[Visitor]
) -> None:
    crowd = Crowd(visitors)
    await crowd.begin()
    paused, other = stage.active_router(), stage.standby_router()
    paused.process.send_signal(signal.SIGSTOP)
    await asyncio.sleep(10)
    assert stage.active_router() is other
    assert crowd.reading_count
    paused.process.send_signal(signal.SIGCONT)
    await asyncio.sleep(2)
    await crowd.finish()
    assert '"router deposed"' in paused.output
    for web in stage.webs:
        assert web.program is not None
        acts = re.findall(r'"another router acts".*?"token": (\d+)', web.program.output)
        heard = [int(token) for token in acts]
        assert heard == sorted(heard)
        assert "is not obeyed" not in web.program.output


async def test_a_web_process_that_stood_still_takes_nothing_with_it(
    stage: Stage, visitors: list[Visitor]
) -> None:
    crowd = Crowd(visitors)
    await crowd.begin()
    stood = stage.webs[1].program
    assert stood is not None
    stood.process.send_signal(signal.SIGSTOP)
    await asyncio.sleep(8)
    assert crowd.reading_count
    stood.process.send_signal(signal.SIGCONT)
    await crowd.finish()
    assert "taken for dead" in stood.output
