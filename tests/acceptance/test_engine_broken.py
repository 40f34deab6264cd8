"""An engine that is killed or stands still under running answers; a network that is away.

The container's own program with a real model, at a real site: the link stays up, and every reader
gets the undisturbed text.
"""

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final
from unittest.mock import ANY

import pytest

from tests.acceptance.chats import StreamedAnswer
from tests.acceptance.proxy import Proxy, open_proxy
from tests.sites import ROOT, Instance, Site, http_request, wait_until

JOBS: Final = 8
SLOW: Final = {"model": "slow", "temperature": 0, "max_tokens": 160}
CUT_S: Final = 20.0
WORDS: Final = " ".join(f"wörd{n}🙂" for n in range(500))


@pytest.fixture(scope="module")
def slow_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the folder of a model that takes seconds for an answer."""
    folder = tmp_path_factory.mktemp("models") / "slow"
    maker = [sys.executable, "-m", "tests.acceptance.slow_model", str(folder)]
    subprocess.run(maker, cwd=ROOT, check=True)
    return folder


@pytest.fixture(scope="module")
def broken_site(_new_site: Callable[..., Site]) -> Iterator[Site]:
    """Yield a site for all of this."""
    site = _new_site().start()
    yield site
    site.close()


@pytest.fixture(scope="module")
def key(broken_site: Site) -> str:
    return broken_site.api_key()


@pytest.fixture(scope="module")
def only(broken_site: Site, slow_model: Path) -> Iterator[Instance]:
    """Yield an instance of the slow model; in the end nothing of it is left."""
    instance = broken_site.start_instance(
        "transformers", model=slow_model, name="only", slots=JOBS
    ).wait_connected()
    yield instance
    pid = engine_of(instance)["pid"]
    assert instance.stop() == 0
    assert not Path(f"/proc/{pid}").exists()


@pytest.fixture(scope="module")
def whole(broken_site: Site, key: str, only: Instance) -> list[str]:
    """Return the undisturbed answers."""
    texts = Readers(broken_site, key).read()
    assert all(texts)
    return texts


def report_of(instance: Instance) -> dict[str, Any]:
    """Return what an instance says of itself."""
    report: dict[str, Any] = http_request(instance.health_port, "GET", "/healthz").json()
    return report


def engine_of(instance: Instance) -> dict[str, Any]:
    """Return what an instance says of its engine."""
    engine: dict[str, Any] = report_of(instance)["engine"]
    return engine


class Readers:
    """Several readers at once, each with a question of its own."""

    def __init__(self, site: Site, key: str) -> None:
        self.site, self.key = site, key
        self.texts = [""] * JOBS
        self.reasons: list[str | None] = [None] * JOBS
        self.begun = threading.Semaphore(0)

    def read(self, then: Callable[[], None] = lambda: None) -> list[str]:
        """Return all answers; call something when each of them has begun."""
        threads = [threading.Thread(target=self._read_one, args=(n,)) for n in range(JOBS)]
        for thread in threads:
            thread.start()
        for _ in threads:
            assert self.begun.acquire(timeout=60)
        then()
        for thread in threads:
            thread.join(120)
        assert self.reasons == ["length"] * JOBS
        return self.texts

    def _read_one(self, n: int) -> None:
        answer = StreamedAnswer(self.site, self.key, f"question {n}", **SLOW)
        try:
            self.texts[n] = answer.read(1, self.begun.release)
        finally:
            self.reasons[n] = answer.finish_reason


def kill(instance: Instance, number: signal.Signals) -> None:
    """Send a signal to an instance's engine."""
    os.kill(engine_of(instance)["pid"], number)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_all_answers_go_on_when_the_only_engine_breaks_under_them(
    broken_site: Site, key: str, only: Instance, whole: list[str], number: signal.Signals
) -> None:
    before = report_of(only)
    assert Readers(broken_site, key).read(lambda: kill(only, number)) == whole
    after = report_of(only)
    assert after["engine"]["restarts"] == before["engine"]["restarts"] + 1
    assert after["link"] == before["link"] == {"state": "open", "session": ANY}
    assert only.output.count("connected to") == 1
    assert f"{JOBS} running jobs fail" in only.output


def test_answers_go_on_elsewhere_at_once_when_one_of_two_engines_is_killed(
    broken_site: Site, key: str, only: Instance, whole: list[str], slow_model: Path
) -> None:
    other = broken_site.start_instance("transformers", model=slow_model, name="other", slots=JOBS)
    other.wait_connected()
    before = report_of(only)
    assert Readers(broken_site, key).read(lambda: kill(other, signal.SIGKILL)) == whole
    wait_until(lambda: bool(report_of(other)["ready"]), "the killed engine is back")
    assert engine_of(other)["restarts"] == 1
    assert other.output.count("connected to") == 1
    after = report_of(only)
    assert after["link"] == before["link"]
    assert after["engine"]["restarts"] == before["engine"]["restarts"]
    other.stop()


async def read_through_a_cut(
    site: Site, key: str, proxy: Proxy, question: str, **options: object
) -> str:
    """Read an answer in the middle of which nothing passes for a while."""
    loop = asyncio.get_running_loop()
    cut = asyncio.Event()

    def begun() -> None:
        loop.call_soon_threadsafe(cut.set)

    def read() -> str:
        answer = StreamedAnswer(site, key, question, **options)
        text = answer.read(3, begun)
        assert answer.error is None
        assert answer.finish_reason in ("stop", "length")
        return text

    reader = asyncio.create_task(asyncio.to_thread(read))
    await cut.wait()
    proxy.fall_silent()
    await asyncio.sleep(CUT_S)  # this is the fault itself
    assert not reader.done()
    proxy.recover()
    return await reader


@pytest.mark.parametrize("engine", ["echo", "transformers"])
async def test_answer_of_the_only_instance_goes_on_after_twenty_seconds_without_a_network(
    broken_site: Site, key: str, slow_model: Path, engine: str
) -> None:
    name = f"far-{engine}"
    options: dict[str, Any] = {**SLOW, "model": name, "max_tokens": 600}
    async with open_proxy(broken_site.port) as proxy:
        instance = await asyncio.to_thread(
            lambda: broken_site.start_instance(
                engine,
                model="echo" if engine == "echo" else slow_model,
                name=name,
                env={"MOTHERFLUXER_ECHO_DELAY_MS": "50"},
                options=(f"--router=ws://127.0.0.1:{proxy.port}/", f"--model-name={name}"),
            ).wait_connected()
        )
        whole = WORDS
        if engine == "transformers":
            whole = await asyncio.to_thread(
                lambda: StreamedAnswer(broken_site, key, "question", **options).read()
            )
        question = WORDS if engine == "echo" else "question"
        assert await read_through_a_cut(broken_site, key, proxy, question, **options) == whole
        await asyncio.to_thread(instance.stop)
