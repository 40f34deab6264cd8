"""How soon the router acts: over real websockets, on a whole site, with instances of a few lines.

Dispatch and failover are timed at the instance, from the frame or the broken socket that sets the
router going to the job's frame. Silence and stuck engines are timed from their last sign of life,
with samples that begin at random moments of the router's tick and of the heartbeat.
"""

import asyncio
import contextlib
import json
import random
import statistics
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from benchmarks.sites import running_site
from tests.acceptance.console import Console
from tests.acceptance.proxy import open_proxy
from tests.acceptance.raw import RawInstance, Reader, raw_instance, reader_of
from tests.sites import Site

DISPATCHES: Final = 400
WAITING: Final = 100
BREAKS: Final = 20
SAMPLES: Final = 6
USUAL_ANSWERS: Final = 10
CONSOLE_EVERY_S: Final = 0.02
_draw = random.Random(1)  # noqa: S311 # moments to begin at


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured, in seconds; `goal_s` holds for the 99th percentile or the worst."""

    title: str
    goal_s: float
    times_s: list[float]

    @property
    def judged_s(self) -> float:
        """The 99th percentile of many samples, the worst of few."""
        if len(self.times_s) < 100:
            return max(self.times_s)
        return statistics.quantiles(self.times_s, n=100)[98]

    @property
    def row(self) -> str:
        """One line of the table."""
        what = "p99" if len(self.times_s) >= 100 else "worst"
        cells = [_time(statistics.median(self.times_s)), f"{_time(self.judged_s)} ({what})"]
        verdict = "met" if self.judged_s <= self.goal_s else "MISSED"
        count = len(self.times_s)
        return (
            f"{self.title:<52}{count:>5}{cells[0]:>11}{cells[1]:>18}"
            f"{_time(self.goal_s):>10}  {verdict}"
        )


@dataclass(frozen=True, slots=True)
class Place:
    """Where it is measured."""

    site: Site
    credential: str
    reader: Reader
    console: Console

    def instance(
        self, name: str, model: str, *, port: int | None = None
    ) -> contextlib.AbstractAsyncContextManager[RawInstance]:
        """Connect an instance."""
        return raw_instance(port or self.site.port, self.credential, name, model=model)


@contextlib.asynccontextmanager
async def asked_at_once(place: Place, count: int, key: str, model: str) -> AsyncIterator[None]:
    """Ask so many questions and read none of the answers: reading would cost the clock's time."""
    question = {"model": model, "messages": [{"role": "user", "content": "?"}], "stream": True}
    body = json.dumps(question)
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:{place.site.port}\r\n"
    head += f"Authorization: Bearer {key}\r\nContent-Length: {len(body)}\r\n\r\n"
    writers = []
    for _ in range(count):
        _, writer = await asyncio.open_connection("127.0.0.1", place.site.port)
        writer.write((head + body).encode())
        await writer.drain()
        writers.append(writer)
    yield
    for writer in writers:
        writer.close()


async def dispatch_times_s(place: Place, keys: list[str]) -> list[float]:
    """Time from the frame that frees the only slot to the next job's frame."""
    times = []
    async with contextlib.AsyncExitStack() as stack:
        instance = await stack.enter_async_context(place.instance("free-slot", "dispatch"))
        for key in keys:
            count = WAITING // len(keys)
            await stack.enter_async_context(asked_at_once(place, count, key, "dispatch"))
        job = await instance.next_job()
        await instance.chunk(job, 0, "!")
        while len(place.console.view()["jobs"]) < WAITING:  # noqa: ASYNC110  # no event tells
            await asyncio.sleep(CONSOLE_EVERY_S)
        for _ in range(WAITING - 1):
            began = time.perf_counter()
            await instance.done(job, 1)
            job = await instance.next_job()
            times.append(time.perf_counter() - began)
            await instance.chunk(job, 0, "!")
        await instance.done(job, 1)
    return times


async def idle_times_s(place: Place) -> list[float]:
    """Time from the arrival of a request to the job's frame at an idle instance."""
    times = []
    async with place.instance("idle", "idle") as instance:
        for _ in range(DISPATCHES):
            began = time.perf_counter()
            answer = place.reader.ask("?", model="idle")
            job = await instance.next_job()
            times.append(time.perf_counter() - began)
            await instance.echo(job, ["!"])
            await answer.whole()
    return times


async def break_times_s(place: Place) -> list[float]:
    """Time from a socket that is closed mid-answer to the job's frame at an idle instance."""
    times = []
    for n in range(BREAKS):
        async with place.instance(f"breaks-{n}", "broken") as breaks:
            answer = place.reader.ask("?", model="broken")
            await breaks.chunk(await breaks.next_job(), 0, "one ")
            await answer.has("one ")
            async with place.instance(f"heir-{n}", "broken") as heir:
                began = time.perf_counter()
                breaks.link.transport.abort()
                job = await heir.next_job()
                times.append(time.perf_counter() - began)
                await heir.echo(job, ["one ", "two"])
                assert await answer.whole() == "one two"
    return times


async def silent_idle_s(place: Place, n: int) -> float:
    """Time until an idle instance that has fallen silent is no longer counted."""
    name = f"idle-silent-{n}"
    async with (
        open_proxy(place.site.port) as proxy,
        place.instance(name, name, port=proxy.port),
    ):
        await asyncio.sleep(3 + 2 * _draw.random())
        proxy.fall_silent()
        began = time.perf_counter()
        while await asyncio.to_thread(place.console.instance, name):  # noqa: ASYNC110  # no event
            await asyncio.sleep(CONSOLE_EVERY_S)
        took_s = time.perf_counter() - began
        proxy.recover()
    return took_s


async def silent_streaming_s(place: Place, n: int) -> float:
    """Time until the job of an instance that has fallen silent mid-answer is at another one."""
    model = f"streaming-silent-{n}"
    async with (
        open_proxy(place.site.port) as proxy,
        place.instance(f"silent-{n}", model, port=proxy.port) as silent,
    ):
        answer = place.reader.ask("?", model=model)
        job = await silent.next_job()
        async with place.instance(f"silent-heir-{n}", model) as heir:
            for seq in range(40 + _draw.randrange(40)):
                await silent.chunk(job, seq, "token ")
                await asyncio.sleep(0.03)
            proxy.fall_silent()
            began = time.perf_counter()
            job = await heir.next_job()
            took_s = time.perf_counter() - began
            await heir.done(job, 0)
        await answer.whole()
        proxy.recover()
    return took_s


async def stuck_s(place: Place, n: int, *, told: int, is_learned: bool) -> float:
    """Time until the job of a stuck engine with live heartbeats is at another instance."""
    model = f"stuck-{told}-{is_learned}-{n}"
    async with place.instance(f"{model}-first".lower(), model) as stuck:
        for _ in range(USUAL_ANSWERS if is_learned else 0):
            usual = place.reader.ask("?", model=model)
            await stuck.echo(await stuck.next_job(), ["usual"] * 20, delay_s=0.01)
            await usual.whole()
        await asyncio.sleep(_draw.random())
        answer = place.reader.ask("?", model=model)
        job, began = await stuck.next_job(), time.perf_counter()
        for seq in range(told):
            await stuck.chunk(job, seq, "token ")
            began = time.perf_counter()
        async with place.instance(f"{model}-heir".lower(), model) as heir:
            job = await heir.next_job()
            took_s = time.perf_counter() - began
            await heir.done(job, 0)
        await answer.whole()
    return took_s


async def together(one: Callable[[int], Awaitable[float]]) -> list[float]:
    """Take all samples of one thing side by side: they only wait."""
    return list(await asyncio.gather(*(one(n) for n in range(SAMPLES))))


async def measure(place: Place, keys: list[str]) -> list[Measured]:
    """Measure everything, what is quick by itself and what waits side by side."""
    quick = [
        Measured(
            f"free slot to job frame, {WAITING} and fewer waiting",
            0.005,
            [time_s for _ in range(4) for time_s in await dispatch_times_s(place, keys)],
        ),
        Measured("request to job frame, idle instance", 0.010, await idle_times_s(place)),
        Measured("broken link to job frame elsewhere", 0.100, await break_times_s(place)),
    ]
    waits: list[tuple[str, float, Callable[[int], Awaitable[float]]]] = [
        ("silent idle instance noticed", 6.0, lambda n: silent_idle_s(place, n)),
        ("silent with a job streaming", 3.0, lambda n: silent_streaming_s(place, n)),
        (
            "stuck between tokens, nothing learned",
            5.0,
            lambda n: stuck_s(place, n, told=5, is_learned=False),
        ),
        (
            "stuck between tokens, learned",
            5.0,
            lambda n: stuck_s(place, n, told=5, is_learned=True),
        ),
        (
            "stuck before the first token, nothing learned",
            20.0,
            lambda n: stuck_s(place, n, told=0, is_learned=False),
        ),
        (
            "stuck before the first token, learned",
            20.0,
            lambda n: stuck_s(place, n, told=0, is_learned=True),
        ),
    ]
    taken = await asyncio.gather(*(together(one) for _, _, one in waits))
    slow = [
        Measured(title, goal_s, times)
        for (title, goal_s, _), times in zip(waits, taken, strict=True)
    ]
    return [*quick, *slow]


async def run(site: Site) -> list[Measured]:
    """Connect to a site and measure."""
    keys = [site.api_key(f"reader-{n}@example.org") for n in range(4)]
    credential = site.issue_credential("bench")
    with contextlib.closing(Console(site)) as console:
        async with reader_of(site, keys[0]) as reader:
            place = Place(site, credential, reader, console)
            return await measure(place, keys)


def _time(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms" if seconds < 1 else f"{seconds:.2f} s"


def main() -> int:
    """Measure and print; 0 when every goal is met."""
    print("How soon the router acts, real websockets on loopback, the site in one process")
    with running_site() as site:
        measured = asyncio.run(run(site))
    print(f"{'':<52}{'n':>5}{'median':>11}{'':>18}{'goal':>10}")
    for one in measured:
        print(one.row)
    return 0 if all(one.judged_s <= one.goal_s for one in measured) else 1


if __name__ == "__main__":
    sys.exit(main())
