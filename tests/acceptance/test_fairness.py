"""Who is served before whom, seen from an instance with one slot: an order, no timing."""

import asyncio
import contextlib
import random
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator

import pytest

from tests.acceptance.console import Console
from tests.acceptance.raw import Job, RawInstance, raw_instance, reader_of
from tests.acceptance.visitors import Visitor
from tests.sites import Site, wait_until

SiteFactory = Callable[..., Site]


@pytest.fixture(scope="module")
def fair_site(_new_site: SiteFactory) -> Iterator[Site]:
    """A site for all of this, whose visitors may ask as much as they like."""
    site = _new_site(demo_limit="10000/day").start()
    yield site
    site.close()


@pytest.fixture(scope="module")
def credential(fair_site: Site) -> str:
    return fair_site.issue_credential("fair")


@pytest.fixture
def console(fair_site: Site) -> Iterator[Console]:
    with contextlib.closing(Console(fair_site)) as opened:
        yield opened
        opened.wait_clear()


@pytest.fixture
async def one_slot(fair_site: Site, credential: str) -> AsyncIterator[RawInstance]:
    """Yield an instance that the test makes work, one job at a time."""
    async with raw_instance(fair_site.port, credential, "one-slot") as instance:
        yield instance


async def waits(console: Console, count: int) -> None:
    """Wait until the router knows of so many jobs."""
    has = f"{count} jobs at the router"
    await asyncio.to_thread(wait_until, lambda: len(console.view()["jobs"]) == count, has)


def question_of(job: Job) -> str:
    """Return what a job asks."""
    return str(job["messages"][-1]["content"])


@contextlib.asynccontextmanager
async def kept_busy(instance: RawInstance) -> AsyncIterator[None]:
    """Wait for a job, and work on it, visibly, until the block ends."""
    job, pieces = await instance.next_job(), 0
    is_over = asyncio.Event()

    async def work() -> None:
        nonlocal pieces
        while not is_over.is_set():
            await instance.chunk(job, pieces, "…")
            pieces += 1
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(is_over.wait(), 0.2)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(work())
        yield
        is_over.set()
    await instance.done(job, pieces)


async def answer_all(instance: RawInstance, count: int) -> list[Job]:
    """Answer so many jobs; return them in the order in which they came."""
    served = []
    for _ in range(count):
        served.append(job := await instance.next_job())
        await instance.echo(job, [question_of(job)])
    return served


async def test_second_user_waits_for_one_job_and_not_for_the_first_users_hundred(
    fair_site: Site, console: Console, one_slot: RawInstance
) -> None:
    keys = [await asyncio.to_thread(fair_site.api_key, f"{who}@example.org") for who in "ab"]
    async with reader_of(fair_site, keys[0]) as many, reader_of(fair_site, keys[1]) as single:
        hundred = [many.ask(f"mine {n}") for n in range(100)]
        async with kept_busy(one_slot):
            await waits(console, 100)
            lonely = single.ask("and me?")
            await waits(console, 101)
        served = await answer_all(one_slot, 100)
        assert question_of(served[0]) == "and me?"
        assert await lonely.whole() == "and me?"
        texts = [await answer.whole() for answer in hundred]
        assert sum(text.startswith("mine ") for text in texts) == 99


def jain_index(values: Iterable[float]) -> float:
    """Return how even a division is: 1 when all get the same, 1/n when one gets everything."""
    held = list(values)
    return sum(held) ** 2 / (len(held) * sum(value**2 for value in held))


async def test_four_users_with_ten_to_one_appetites_get_the_same_number_of_tokens(
    fair_site: Site, console: Console, one_slot: RawInstance
) -> None:
    asked = {"greedy-1": 120, "greedy-2": 120, "modest-1": 12, "modest-2": 12}
    draw, waiting, tokens = random.Random(7), Counter(asked), Counter[str]()  # noqa: S311
    async with contextlib.AsyncExitStack() as stack:
        readers = {}
        for user in asked:
            key = await asyncio.to_thread(fair_site.api_key, f"{user}@example.org")
            readers[user] = await stack.enter_async_context(reader_of(fair_site, key))
        answers = [
            readers[user].ask(f"{user} {n}") for user, count in asked.items() for n in range(count)
        ]
        async with kept_busy(one_slot):
            await waits(console, len(answers))
        index = 0.0
        for _ in answers[1:]:
            job = await one_slot.next_job()
            user = question_of(job).split()[0]
            waiting[user] -= 1
            length = draw.randint(5, 60)
            await one_slot.echo(job, [f"{n} " for n in range(length)])
            tokens[user] += length
            if min(waiting.values()) > 0:
                index = jain_index(tokens[user] for user in asked)
        for answer in answers:
            await answer.whole()
    assert index >= 0.95, tokens


async def test_registered_are_served_before_a_demo_flood_that_still_gets_its_trickle(
    fair_site: Site, console: Console, one_slot: RawInstance
) -> None:
    key = await asyncio.to_thread(fair_site.api_key, "first@example.org")
    visitors = [Visitor(fair_site) for _ in range(20)]
    async with contextlib.AsyncExitStack() as stack:
        reader = await stack.enter_async_context(reader_of(fair_site, key))
        for visitor in visitors:
            await stack.enter_async_context(visitor.client)
            await visitor.ask("demo")
        async with kept_busy(one_slot):
            await waits(console, len(visitors))
            registered = [reader.ask(f"registered {n}") for n in range(40)]
            await waits(console, 60)
        served = await answer_all(one_slot, 59)
        for answer in registered:
            await answer.whole()
    classes = [job["class"] for job in served]
    both_wait = classes[: len(classes) - classes[::-1].index("registered")]
    assert both_wait[0] == "registered"
    window: deque[str] = deque(maxlen=10)
    for service_class in both_wait:
        window.append(service_class)
        if len(window) == 10:
            assert window.count("demo") == 1, both_wait
    assert set(classes[len(both_wait) :]) == {"demo"}
