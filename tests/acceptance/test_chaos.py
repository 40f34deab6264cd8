"""What goes wrong on real machines, done to real processes and real websockets.

Frozen and silent instances, stuck engines, black holes, garbage, readers that do not read: whoever
is not hit gets the undisturbed text, and so does whoever is, where anybody is left to go on.
"""

import asyncio
import contextlib
import itertools
import json
import os
import re
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial

import pytest

from tests.acceptance.console import Console
from tests.acceptance.garbage import fatal_frames, hostile_frames
from tests.acceptance.nursery import TOKENS, Container, Nursery, open_nursery
from tests.acceptance.proxy import Proxy, open_proxy
from tests.acceptance.raw import (
    PATIENCE_S,
    Job,
    JobWork,
    RawInstance,
    Reader,
    raw_instance,
    reader_of,
)
from tests.sites import Site, wait_until
from tests.streams import api_text

WHOLE = "".join(TOKENS)
BEGINNING = "".join(TOKENS[:20])
SiteFactory = Callable[..., Site]


@pytest.fixture(scope="module")
def chaos_site(_new_site: SiteFactory) -> Iterator[Site]:
    """A site for all of this; every test leaves the router empty."""
    site = _new_site().start()
    yield site
    site.close()


@pytest.fixture(scope="module")
def key(chaos_site: Site) -> str:
    return chaos_site.api_key()


@pytest.fixture(scope="module")
def credential(chaos_site: Site) -> str:
    return chaos_site.issue_credential("chaos")


@pytest.fixture(scope="module")
def console(chaos_site: Site) -> Iterator[Console]:
    with contextlib.closing(Console(chaos_site)) as opened:
        yield opened


@pytest.fixture(autouse=True)
def nothing_left(chaos_site: Site, console: Console) -> Iterator[None]:
    """Check after each test that the router holds nothing and has complained of nothing."""
    yield
    wait_until(lambda: not console.view()["instances"], "all instances gone")
    console.wait_clear()
    assert chaos_site.program is not None
    assert '"level": "error"' not in chaos_site.program.output


@pytest.fixture
async def reader(chaos_site: Site, key: str) -> AsyncIterator[Reader]:
    async with reader_of(chaos_site, key) as opened:
        yield opened


@pytest.fixture
def nursery(chaos_site: Site, credential: str) -> Iterator[Nursery]:
    with open_nursery(chaos_site, credential) as opened:
        yield opened


async def echo(instance: RawInstance, job: Job) -> None:
    """Say the question again, token by token."""
    await instance.echo(job, TOKENS, delay_s=0.005)


async def until(is_true: Callable[[], bool], what: str) -> None:
    """Wait until something is so, beside the event loop."""
    await asyncio.to_thread(wait_until, is_true, what)


async def connected(container: Container) -> Container:
    """Wait until the router has welcomed a container."""
    return await asyncio.to_thread(container.wait_connected)


def instances_counted(site: Site) -> int:
    """Return how many instances the public page counts."""
    found = re.search(r"<dt>Instances</dt><dd>(\d+)</dd>", site.get("/status").text)
    assert found
    return int(found[1])


# -- an instance that is there and says nothing ---------------------------------------------------


class Frozen:
    """A process that is stopped: the kernel keeps its sockets open and takes what is sent."""

    def __init__(self, container: Container, proxy: Proxy) -> None:
        self.container = container

    def fall_silent(self) -> None:
        """Stop the process."""
        self.container.freeze()

    def recover(self) -> None:
        """Let it go on."""
        self.container.thaw()


class CutOff:
    """A process whose network is gone: neither bytes nor a FIN come through."""

    def __init__(self, container: Container, proxy: Proxy) -> None:
        self.proxy = proxy

    def fall_silent(self) -> None:
        """Let nothing through."""
        self.proxy.fall_silent()

    def recover(self) -> None:
        """Let everything through that was held."""
        self.proxy.recover()


SILENCES = [Frozen, CutOff]


@pytest.mark.parametrize(("silence", "is_gone"), [(Frozen, False), (CutOff, True)])
async def test_answer_of_an_instance_that_falls_silent_goes_on_elsewhere(
    silence: type[Frozen | CutOff],
    is_gone: bool,
    chaos_site: Site,
    console: Console,
    reader: Reader,
    nursery: Nursery,
) -> None:
    async with open_proxy(chaos_site.port) as proxy:
        start = partial(nursery.start, model_name="silenced", delay_ms=20)
        first = await connected(start("first", port=proxy.port))
        answer = reader.ask(WHOLE, model="silenced")
        await answer.has(BEGINNING)
        broken = silence(first, proxy)
        broken.fall_silent()
        second = await connected(start("second"))
        assert await answer.whole() == WHOLE
        assert answer.headers["x-motherfluxer-instance"] == "first"
        if is_gone:
            await until(lambda: console.instance("first") is None, "the link is given up")
        broken.recover()
        await until(lambda: console.instance("first") is not None, "the first is back")
        second.kill9()
        # It is as good as before, and what it still had to say of the old answer harms nobody.
        after = reader.ask(WHOLE, model="silenced")
        assert await after.whole() == WHOLE
        assert after.headers["x-motherfluxer-instance"] == "first"


@pytest.mark.parametrize("silence", SILENCES)
async def test_idle_instance_that_falls_silent_is_not_counted_until_it_is_back(
    silence: type[Frozen | CutOff], chaos_site: Site, console: Console, nursery: Nursery
) -> None:
    async with open_proxy(chaos_site.port) as proxy:
        idle = await connected(nursery.start("idle", port=proxy.port))
        assert instances_counted(chaos_site) == 1
        broken = silence(idle, proxy)
        broken.fall_silent()
        await until(lambda: instances_counted(chaos_site) == 0, "not counted any more")
        assert not console.view()["instances"]
        broken.recover()
        await until(lambda: instances_counted(chaos_site) == 1, "counted again")


# -- an instance that lives and does not work -----------------------------------------------------


@pytest.mark.parametrize("told", [0, 5])
async def test_stuck_engine_with_live_heartbeats_loses_its_job_to_another(
    told: int, chaos_site: Site, credential: str, reader: Reader
) -> None:
    port, model = chaos_site.port, f"stuck-{told}"
    async with raw_instance(port, credential, f"stuck-{told}", model=model) as stuck:
        for _ in range(20):  # what it usually takes must be known before it can be missed
            usual = reader.ask("usual", model=model)
            await stuck.echo(await stuck.next_job(), ["us", "u", "al"])
            assert await usual.whole() == "usual"
        answer = reader.ask(WHOLE, model=model)
        job = await stuck.next_job()
        for seq in range(told):
            await stuck.chunk(job, seq, TOKENS[seq])
        await answer.has("".join(TOKENS[:told]))
        async with raw_instance(port, credential, f"heir-{told}", model=model) as heir:
            continued = await heir.next_job()
            assert continued["prefix"] == "".join(TOKENS[:told])
            await stuck.chunk(job, told, "too late")
            await heir.echo(continued, TOKENS)
            assert await answer.whole() == WHOLE
        assert not stuck.running or stuck.link.close_code is None


async def test_black_hole_gets_no_traffic_and_nobody_notices_it(
    chaos_site: Site, credential: str, reader: Reader
) -> None:
    swallowed = 0

    async def fail_at_once(instance: RawInstance, job: Job) -> None:
        nonlocal swallowed
        swallowed += 1
        await asyncio.sleep(0.005)
        await instance.fail(job, "engine_error")

    port, model = chaos_site.port, "holed"
    async with (
        raw_instance(port, credential, "hole", model=model, slots=4, work=fail_at_once),
        raw_instance(port, credential, "good-1", model=model, work=echo),
        raw_instance(port, credential, "good-2", model=model, work=echo),
    ):
        for _ in range(10):
            answers = [reader.ask(WHOLE, model=model) for _ in range(4)]
            assert [await answer.whole() for answer in answers] == [WHOLE] * 4
    # The fastest to free its slots, and yet: not every job, not every second, a handful.
    assert 0 < swallowed <= 12


async def test_request_that_breaks_instances_is_blamed_and_not_they(
    chaos_site: Site, credential: str, reader: Reader
) -> None:
    async def break_on_poison(instance: RawInstance, job: Job) -> None:
        if job["messages"][0]["content"] == "poison":
            await instance.fail(job, "engine_error")
        else:
            await echo(instance, job)

    port, model = chaos_site.port, "poisoned"
    async with contextlib.AsyncExitStack() as stack:
        for n in range(3):
            name = f"eater-{n}"
            eater = raw_instance(port, credential, name, model=model, work=break_on_poison)
            await stack.enter_async_context(eater)
        for _ in range(4):
            poisoned, healthy = reader.ask("poison", model=model), reader.ask(WHOLE, model=model)
            assert await poisoned.whole() == ""
            assert poisoned.error is not None
            assert poisoned.error["code"] == "instances_failed"
            assert await healthy.whole() == WHOLE


async def fail_attempt(instance: RawInstance, job: Job) -> None:
    """Give up on a job after five tokens."""
    await instance.fail(job, "engine_error", seq=5)


async def break_link(instance: RawInstance, job: Job) -> None:
    """Be gone."""
    instance.link.transport.abort()


@pytest.mark.parametrize("end", [fail_attempt, break_link])
async def test_partial_answer_is_kept_and_said_to_be_partial_where_nobody_can_go_on(
    end: JobWork, chaos_site: Site, credential: str, reader: Reader
) -> None:
    port, model = chaos_site.port, f"unfinished-{end.__name__}"
    one = raw_instance(port, credential, "first", model=model, can_continue=False)
    other = raw_instance(port, credential, "other", model=model, can_continue=False, work=echo)
    async with one as first:
        answer = reader.ask(WHOLE, model=model)
        job = await first.next_job()
        for seq in range(5):
            await first.chunk(job, seq, TOKENS[seq])
        await answer.has("".join(TOKENS[:5]))
        async with other:
            await end(first, job)
            assert await answer.whole() == "".join(TOKENS[:5])
            assert answer.error is not None
            assert answer.error["code"] == "answer_interrupted"
            # Where nothing was shown yet anybody will do.
            assert await reader.ask(WHOLE, model=model).whole() == WHOLE


# -- others that behave badly ---------------------------------------------------------------------


async def test_ten_thousand_garbage_frames_disturb_no_answer(
    chaos_site: Site, credential: str, reader: Reader
) -> None:
    port, strangers = (
        chaos_site.port,
        await asyncio.to_thread(chaos_site.issue_credential, "stranger"),
    )
    sent = 0

    async def disturb(victim: RawInstance) -> None:
        nonlocal sent
        for serial, fatal in zip(range(160), itertools.cycle(fatal_frames()), strict=False):
            jobs = [*victim.running.values()]
            async with raw_instance(port, strangers, f"stranger-{serial % 8}", model="x") as one:
                for frame in hostile_frames(serial, jobs, count=63):
                    await one.link.send(frame, text=True)
                with contextlib.suppress(OSError):
                    await one.link.send(fatal.frame, text=fatal.is_text)
                assert (await one.close_of())[0] == 4000
                sent += 64

    async with raw_instance(port, credential, "victim", model="v", slots=4, work=echo) as victim:
        disturbing = asyncio.create_task(disturb(victim))
        answers = 0
        while not disturbing.done():
            asked = [reader.ask(WHOLE, model="v") for _ in range(4)]
            assert [await answer.whole() for answer in asked] == [WHOLE] * 4
            answers += 4
        await disturbing
        assert victim.link.close_code is None
    assert sent > 10_000
    assert answers > 4


class StalledReader:
    """Asks for an answer and reads nothing of it until told to.

    Its segments and its window are those of a small network: for loopback's own of 64 KiB the
    kernel would take a whole answer in the reader's stead, and the site would notice nothing.
    """

    def __init__(self) -> None:
        self._socket = socket.socket()
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 1448)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 * 1024)
        self._socket.setblocking(False)

    async def ask(self, site: Site, key: str, model: str) -> None:
        """Send the question."""
        message = {"role": "user", "content": "stall"}
        body = json.dumps({"model": model, "messages": [message], "stream": True})
        head = [
            *("POST /v1/chat/completions HTTP/1.1", f"Host: 127.0.0.1:{site.port}"),
            *(f"Authorization: Bearer {key}", f"Content-Length: {len(body)}", "Connection: close"),
        ]
        loop = asyncio.get_running_loop()
        await loop.sock_connect(self._socket, ("127.0.0.1", site.port))
        await loop.sock_sendall(self._socket, "\r\n".join([*head, "", body]).encode())

    async def read(self) -> bytes:
        """Read everything to the end."""
        loop, read = asyncio.get_running_loop(), bytearray()
        while piece := await loop.sock_recv(self._socket, 65536):
            read += piece
        return bytes(read)

    def close(self) -> None:
        """Hang up."""
        self._socket.close()


async def test_readers_that_stop_reading_delay_nobody_and_lose_nothing(
    chaos_site: Site, credential: str, key: str, reader: Reader, console: Console
) -> None:
    # 440 kB: kernel and transport hold 300 at most for a reader, then the site itself has to wait.
    long = [f"{n:05} {'🙂' * 14}" for n in range(6000)]
    told = asyncio.Event()

    async def answer_at_length(instance: RawInstance, job: Job) -> None:
        is_long = job["messages"][0]["content"] == "stall"
        await instance.echo(job, long if is_long else TOKENS)
        if is_long:
            told.set()

    port, model = chaos_site.port, "stalled"
    one = raw_instance(port, credential, "busy", model=model, slots=8, work=answer_at_length)
    async with one, contextlib.AsyncExitStack() as stack:
        stalled = [stack.enter_context(contextlib.closing(StalledReader())) for _ in range(4)]
        for waiting in stalled:
            await waiting.ask(chaos_site, key, model)
        while not told.is_set():
            siblings = [reader.ask(WHOLE, model=model) for _ in range(3)]
            assert [await sibling.whole() for sibling in siblings] == [WHOLE] * 3
        # Whoever does not read holds no slot either.
        await until(console.is_clear, "the slots are free although nobody has read")
        async with asyncio.timeout(PATIENCE_S):
            streams = await asyncio.gather(*(waiting.read() for waiting in stalled))
        assert [api_text(stream.decode()) for stream in streams] == ["".join(long)] * len(stalled)


# -- the router itself ----------------------------------------------------------------------------


async def test_site_that_stood_still_throws_nobody_out(site: Site) -> None:
    key = await asyncio.to_thread(site.api_key)
    credential = await asyncio.to_thread(site.issue_credential, "still")
    assert site.program is not None
    pid = site.program.process.pid
    with open_nursery(site, credential) as nursery, contextlib.closing(Console(site)) as console:
        container = await connected(nursery.start("container", slots=4, delay_ms=50))
        async with (
            reader_of(site, key) as reader,
            raw_instance(site.port, credential, "raw", slots=4) as raw,
        ):
            by_container = [reader.ask(WHOLE, model="echo") for _ in range(3)]
            by_raw = reader.ask(WHOLE)
            job = await raw.next_job()
            await raw.chunk(job, 0, TOKENS[0])
            await by_raw.has(TOKENS[0])
            for answer in by_container:
                await answer.has(TOKENS[0])
            os.kill(pid, signal.SIGSTOP)
            try:
                await asyncio.sleep(8)  # longer than any deadline: standing still is the test
            finally:
                os.kill(pid, signal.SIGCONT)
            assert [await answer.whole() for answer in by_container] == [WHOLE] * 3
            for seq in range(1, len(TOKENS)):
                await raw.chunk(job, seq, TOKENS[seq])
            await raw.done(job, len(TOKENS))
            assert await by_raw.whole() == WHOLE
            assert raw.link.close_code is None
            await connected(container)
            await asyncio.to_thread(console.wait_clear)
            assert console.instance("raw")
