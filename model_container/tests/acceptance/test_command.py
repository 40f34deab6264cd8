"""The command `motherfluxer-model` as an operator meets it: a process, its words, its exit."""

import asyncio
import json
import os
import re
import signal
import sys
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from motherfluxer_model.testing.router import InstanceSide, ScriptedRouter, make_job
from motherfluxer_wire.frames import (
    Chunk,
    Done,
    Draining,
    Failed,
    ModelsChanged,
    Sampling,
)

SECRET = "mfi_abcdef_verysecret"


class Process:
    """One running command and what it wrote."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.output = ""
        self._changed = asyncio.Condition()
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self.process.stderr is not None
        while line := await self.process.stderr.readline():
            async with self._changed:
                self.output += line.decode()
                self._changed.notify_all()

    async def wait_for(self, pattern: str) -> re.Match[str]:
        async with asyncio.timeout(60), self._changed:
            await self._changed.wait_for(lambda: re.search(pattern, self.output))
        found = re.search(pattern, self.output)
        assert found is not None
        return found

    async def wait(self) -> int:
        async with asyncio.timeout(60):
            code = await self.process.wait()
            await self._reader
        assert SECRET not in self.output
        return code


class Starter:
    """Starts commands and ends those that are left."""

    def __init__(self) -> None:
        self.started: list[Process] = []

    async def start(self, *argv: str, **env: str) -> Process:
        clean = {k: v for k, v in os.environ.items() if not k.startswith("MOTHERFLUXER_")}
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "motherfluxer_model.cli",
            *argv,
            env={**clean, **env},
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        self.started.append(Process(process))
        return self.started[-1]

    async def echo(self, router: ScriptedRouter, *more: str, **env: str) -> Process:
        return await self.start(
            "run",
            *("--router", router.url, "--engine", "echo", "--name", "box-1"),
            *("--health-port", "0", *more),
            **{"MOTHERFLUXER_CREDENTIAL": SECRET, **env},
        )


@pytest.fixture
async def router() -> AsyncIterator[ScriptedRouter]:
    async with ScriptedRouter() as router:
        yield router


@pytest.fixture
async def starter() -> AsyncIterator[Starter]:
    starter = Starter()
    yield starter
    for process in starter.started:
        if process.process.returncode is None:
            process.process.kill()
        await process.wait()


def fetch(url: str) -> tuple[int, dict[str, Any]]:
    try:
        with urllib.request.urlopen(url, timeout=20) as answer:  # noqa: S310  our own loopback URL
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


async def test_operator_reads_who_serves_what_to_whom(
    router: ScriptedRouter, starter: Starter
) -> None:
    process = await starter.echo(router)
    side = await router.next_instance()
    assert side.authorization == f"Bearer {SECRET}"
    await process.wait_for("connected to .* as box-1")
    for words in ("I am box-1", "serving echo", "8192 tokens of context"):
        assert words in process.output
    health = (await process.wait_for(r"health at (http://\S+)/healthz")).group(1)
    status, report = await asyncio.to_thread(fetch, f"{health}/readyz")
    assert status == 200
    assert (report["name"], report["models"], report["running"]) == ("box-1", ["echo"], [])
    assert SECRET not in json.dumps(report)
    await side.websocket.close(1012, "restarting")
    await router.next_instance()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_signal_lets_the_running_answer_end(
    router: ScriptedRouter, starter: Starter, number: signal.Signals
) -> None:
    process = await starter.echo(router, MOTHERFLUXER_ECHO_DELAY_MS="20")
    side = await router.next_instance()
    text = "word " * 20
    await side.send(make_job(text=text))
    await side.wait_for(lambda: side.frames(Chunk))
    process.process.send_signal(number)
    await side.wait_for(lambda: side.frames(Draining))
    done = await side.wait_for_ending("j1")
    assert isinstance(done, Done)
    assert done.finish_reason == "stop"
    assert side.text("j1") == text
    assert await process.wait() == 0
    assert side.websocket.close_code == 1000


async def test_second_signal_leaves_at_once(router: ScriptedRouter, starter: Starter) -> None:
    process = await starter.echo(router, MOTHERFLUXER_ECHO_DELAY_MS="600000")
    side = await router.next_instance()
    await side.send(make_job())
    await side.send(make_job("j2", sampling=Sampling(max_tokens=1)))
    await process.wait_for("connected to")
    process.process.send_signal(signal.SIGTERM)
    await side.wait_for(lambda: side.frames(Draining))
    process.process.send_signal(signal.SIGTERM)
    assert await process.wait() == 0
    assert side.ending("j1") is None


async def test_limit_of_draining_is_kept(router: ScriptedRouter, starter: Starter) -> None:
    process = await starter.echo(router, "--drain-s", "0", MOTHERFLUXER_ECHO_DELAY_MS="600000")
    side = await router.next_instance()
    await side.send(make_job())
    await process.wait_for("connected to")
    process.process.send_signal(signal.SIGTERM)
    assert await process.wait() == 0


@pytest.mark.parametrize(("status", "code"), [(401, 3), (403, 3), (426, 6)])
async def test_refused_instance_stops_and_says_why(
    router: ScriptedRouter, starter: Starter, status: int, code: int
) -> None:
    router.refuse_with = (status, {})
    process = await starter.echo(router)
    assert await process.wait() == code
    assert "as told" in process.output.splitlines()[-1]


@pytest.mark.parametrize(("close_code", "code"), [(4001, 3), (4002, 5)])
async def test_closed_for_good_stops_and_says_why(
    router: ScriptedRouter, starter: Starter, close_code: int, code: int
) -> None:
    process = await starter.echo(router)
    side = await router.next_instance()
    await side.websocket.close(close_code, "told so")
    assert await process.wait() == code
    assert "told so" in process.output


async def test_missing_options_are_named(starter: Starter) -> None:
    process = await starter.start("run", "--model", "x")
    assert await process.wait() == 2
    assert "which router?" in process.output


async def test_model_that_cannot_be_loaded_is_named(starter: Starter, tmp_path: Path) -> None:
    process = await starter.start(
        *("run", "--router", "http://127.0.0.1:9", "--health-port", "0"),
        *("--model", str(tmp_path)),
        MOTHERFLUXER_CREDENTIAL=SECRET,
    )
    assert await process.wait() == 4
    assert str(tmp_path) in process.output.splitlines()[-1] or "cannot load" in process.output
    assert "Traceback" not in process.output


async def test_loading_can_be_interrupted(starter: Starter, model_folder: Path) -> None:
    process = await starter.start(
        *("run", "--router", "http://127.0.0.1:9", "--health-port", "0"),
        *("--model", str(model_folder)),
        MOTHERFLUXER_CREDENTIAL=SECRET,
    )
    await process.wait_for("loading")
    process.process.send_signal(signal.SIGTERM)
    assert await process.wait() == 0


async def test_real_model_answers_over_the_wire(
    router: ScriptedRouter, starter: Starter, model_folder: Path
) -> None:
    process = await starter.start(
        *("run", "--router", router.url, "--model", str(model_folder), "--health-port", "0"),
        MOTHERFLUXER_CREDENTIAL=SECRET,
    )
    async with asyncio.timeout(60):
        side = await router._arrivals.get()
    assert side.hello.models[0].name == "random-phi"
    await side.send(make_job(model="random-phi", sampling=Sampling(max_tokens=20)))
    done = await side.wait_for_ending("j1")
    assert isinstance(done, Done)
    assert done.usage.completion_tokens == sum(chunk.tokens for chunk in side.frames(Chunk)) == 20
    process.process.send_signal(signal.SIGTERM)
    assert await process.wait() == 0


class Served:
    """A command that serves the random model, its link, and its engine's process."""

    def __init__(self, process: Process, side: InstanceSide, engine_pid: int) -> None:
        self.process = process
        self.side = side
        self.engine_pid = engine_pid

    @property
    def is_engine_there(self) -> bool:
        """Whether the engine's process lives; one that nobody has buried yet does not."""
        try:
            stat = Path(f"/proc/{self.engine_pid}/stat").read_text()
        except FileNotFoundError:
            return False
        return stat.rpartition(")")[2].split()[0] != "Z"

    def given_to_engine(self) -> bytes:
        """Return the engine's environment and command line."""
        place = Path(f"/proc/{self.engine_pid}")
        return (place / "environ").read_bytes() + (place / "cmdline").read_bytes()

    async def begin(self) -> None:
        """Let an answer begin."""
        await self.side.send(make_job(model="random-phi", sampling=Sampling(max_tokens=100)))
        await self.side.wait_for(lambda: self.side.frames(Chunk))


@pytest.fixture
async def served(router: ScriptedRouter, starter: Starter, model_folder: Path) -> Served:
    process = await starter.start(
        *("run", "--router", router.url, "--model", str(model_folder), "--health-port", "0"),
        MOTHERFLUXER_CREDENTIAL=SECRET,
    )
    async with asyncio.timeout(60):
        side = await router._arrivals.get()
    health = (await process.wait_for(r"health at (http://\S+)/healthz")).group(1)
    _, report = await asyncio.to_thread(fetch, f"{health}/healthz")
    assert report["engine"]["state"] == "ready"
    return Served(process, side, report["engine"]["pid"])


async def test_interrupt_at_a_terminal_lets_the_running_answer_end(served: Served) -> None:
    await served.begin()
    os.killpg(served.process.process.pid, signal.SIGINT)  # the engine's process gets it as well
    done = await served.side.wait_for_ending("j1")
    assert isinstance(done, Done)
    assert done.usage.completion_tokens == 100
    assert await served.process.wait() == 0
    assert not served.is_engine_there


async def test_engine_gets_no_credential_and_ends_with_a_program_that_is_killed(
    served: Served,
) -> None:
    assert SECRET.encode() not in served.given_to_engine()
    await served.begin()
    served.process.process.kill()
    await served.process.wait()
    async with asyncio.timeout(20):
        while served.is_engine_there:  # noqa: ASYNC110  the kernel tells nobody
            await asyncio.sleep(0.01)


async def test_killed_engine_is_told_as_a_pause_and_serves_again_on_the_same_link(
    served: Served,
) -> None:
    side = served.side
    await served.begin()
    os.kill(served.engine_pid, signal.SIGKILL)
    async with asyncio.timeout(60):
        while len(side.frames(ModelsChanged)) < 2:  # noqa: ASYNC110  longer than `wait_for` waits
            await asyncio.sleep(0.05)
    pause, failed, back = (f for f in side.received if isinstance(f, ModelsChanged | Failed))
    assert isinstance(pause, ModelsChanged)
    assert pause.models == []
    assert isinstance(failed, Failed)
    assert (failed.code, failed.retryable) == ("engine_error", True)
    assert isinstance(back, ModelsChanged)
    assert back.models == side.hello.models
    beginning = side.text("j1")
    sampling = Sampling(max_tokens=100)
    await side.send(
        make_job("j2", model="random-phi", sampling=sampling, prefix=beginning, attempt=2)
    )
    assert isinstance(await side.wait_for_ending("j2"), Done)
    assert served.process.process.returncode is None
