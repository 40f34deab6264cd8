"""An engine in a process of its own: real processes, broken in every way, and made anew."""

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from motherfluxer_model.core.answer import Finished, Piece
from motherfluxer_model.core.watchdog import Patience
from motherfluxer_model.engines.isolated import IsolatedEngine, Recipe
from motherfluxer_model.errors import EngineLoadError, GenerationError
from motherfluxer_model.testing.router import make_job
from motherfluxer_wire.frames import Job

USUAL = Patience()
BREAKING = "motherfluxer_model.testing.breaking:BreakingEngine"
Make = Callable[..., Awaitable[IsolatedEngine]]


def is_alive(pid: int) -> bool:
    """Whether there is such a process."""
    return Path(f"/proc/{pid}").exists()


async def until(is_true: Callable[[], object]) -> None:
    """Wait for what tells nobody when it comes."""
    async with asyncio.timeout(60):
        while not is_true():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def read(engine: IsolatedEngine, job: Job) -> tuple[str, Finished]:
    """Read a whole answer."""
    text = ""
    async for said in engine.generate(job):
        if isinstance(said, Finished):
            return text, said
        text += said.text
    raise AssertionError("no ending")


async def fail(engine: IsolatedEngine, job: Job) -> GenerationError:
    """Read an answer that breaks off."""
    with pytest.raises(GenerationError) as caught:
        await read(engine, job)
    return caught.value


@pytest.fixture
async def make() -> AsyncIterator[Make]:
    """Make prepared engines, and see that none leaves a process behind."""
    made: list[IsolatedEngine] = []
    pids: list[int] = []

    async def start(
        patience: Patience = USUAL, preload: tuple[str, ...] = (), **arguments: object
    ) -> IsolatedEngine:
        engine = IsolatedEngine(Recipe(BREAKING, arguments, preload), patience=patience)
        engine.watch(lambda: pids.append(int(engine.status["pid"])))
        made.append(engine)
        await engine.prepare()
        return engine

    yield start
    for engine in made:
        await engine.close()
        await engine.close()
    assert not any(is_alive(pid) for pid in pids)


async def test_answer_comes_through_as_it_is(make: Make) -> None:
    engine = await make()
    text, end = await read(engine, make_job(text="one two 😀"))
    assert text == "one two 😀"
    assert (end.reason, end.usage.completion_tokens) == ("stop", 3)
    assert [model.name for model in engine.models] == ["echo"]
    assert engine.hardware == {"device": "none (echo)"}
    assert engine.status["state"] == "ready"


async def test_many_answers_at_once_are_kept_apart(make: Make) -> None:
    engine = await make()
    texts = [f"{n} " * 50 for n in range(20)]
    jobs = [make_job(f"j{n}", text=text) for n, text in enumerate(texts)]
    answers = await asyncio.gather(*(read(engine, job) for job in jobs))
    assert [text for text, _ in answers] == texts


async def test_refusal_of_one_job_comes_through(make: Make) -> None:
    engine = await make()
    error = await fail(engine, make_job(model="another"))
    assert (error.code, error.retryable) == ("unsupported", False)
    error = await fail(engine, make_job(text="raise this"))
    assert (error.code, error.retryable) == ("engine_error", True)
    assert engine.status["restarts"] == 0


async def test_cancel_reaches_the_engine(make: Make) -> None:
    engine = await make(delay_s=0.01)
    text = ""
    async for said in engine.generate(make_job(text="word " * 1000)):
        if isinstance(said, Piece):
            text += said.text
            engine.cancel("j1", 1)
        else:
            assert said.reason == "cancelled"
    assert 0 < len(text.split()) < 900
    engine.cancel("unknown", 1)


async def test_cancel_that_overtakes_the_job_ends_it(make: Make) -> None:
    engine = await make(delay_s=0.05)
    task = asyncio.create_task(read(engine, make_job(text="word " * 1000)))
    await asyncio.sleep(0)
    engine.cancel("j1", 1)
    assert (await task)[1].reason == "cancelled"


async def test_reader_who_leaves_frees_the_engine(make: Make) -> None:
    engine = await make(delay_s=0.05)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.2):
            await read(engine, make_job(text="word " * 1000))
    await until(lambda: not engine._watchdog.jobs)
    assert engine.status["restarts"] == 0


@pytest.mark.parametrize(
    ("number", "words"), [(signal.SIGKILL, "want of memory"), (signal.SIGSEGV, "SIGSEGV")]
)
async def test_killed_engine_fails_its_jobs_at_once_and_comes_back(
    make: Make, number: signal.Signals, words: str
) -> None:
    engine = await make(replace(USUAL, gap_cap_s=300))
    served: list[int] = []
    engine.watch(lambda: served.append(len(engine.models)))
    jobs = [asyncio.create_task(fail(engine, make_job(f"j{n}", "stall"))) for n in range(8)]
    for job in jobs:
        job.add_done_callback(lambda _: served.append(-1))
    await asyncio.sleep(0)
    pid = int(engine.status["pid"])
    os.kill(pid, number)
    errors = await asyncio.gather(*jobs)
    assert {(error.code, error.retryable) for error in errors} == {("engine_error", True)}
    assert all(words in error.message for error in errors)
    await until(lambda: engine.models)
    assert served == [0, *[-1] * 8, 1]  # the pause is told before the answers fail
    assert engine.status["restarts"] == 1
    assert engine.status["pid"] != pid
    assert not is_alive(pid)


async def test_job_that_comes_while_the_engine_is_down_is_for_others(make: Make) -> None:
    engine = await make()
    os.kill(int(engine.status["pid"]), signal.SIGKILL)
    await until(lambda: not engine.models)
    assert engine.status["state"] == "restarting"
    error = await fail(engine, make_job())
    assert (error.code, error.retryable) == ("overloaded", True)
    await until(lambda: engine.models)
    assert (await read(engine, make_job()))[0] == "one two three"


@pytest.mark.parametrize("has_job", [False, True])
async def test_stopped_engine_is_noticed_and_made_anew(make: Make, has_job: bool) -> None:
    engine = await make(replace(USUAL, pong_s=2.0), delay_s=0.05)
    pid = int(engine.status["pid"])
    job = asyncio.create_task(fail(engine, make_job(text="word " * 1000))) if has_job else None
    await asyncio.sleep(0)
    os.kill(pid, signal.SIGSTOP)
    await until(lambda: engine.status["restarts"] == 1 and engine.models)
    if job is not None:
        assert (await job).code == "engine_error"
    assert not is_alive(pid)
    await read(engine, make_job())


async def test_engine_that_is_late_pauses_and_goes_on_when_it_is_back(make: Make) -> None:
    engine = await make(replace(USUAL, pong_s=60, gap_cap_s=60), delay_s=0.02)
    pid = int(engine.status["pid"])
    answer = asyncio.create_task(read(engine, make_job(text="word " * 50)))
    await until(lambda: engine._watchdog.gaps.count)
    os.kill(pid, signal.SIGSTOP)
    await until(lambda: not engine.models)
    os.kill(pid, signal.SIGCONT)
    await until(lambda: engine.models)
    assert await answer
    assert engine.status["pid"] == pid


@pytest.mark.parametrize(
    ("word", "why", "patience"),
    [
        ("crash", "SIGKILL", USUAL),
        ("block", "not answered", replace(USUAL, pong_s=2.0, gap_cap_s=300)),
        ("stall", "no token came", replace(USUAL, gap_cap_s=2.0)),
    ],
)
async def test_engine_that_breaks_over_a_job_is_made_anew(
    make: Make, word: str, why: str, patience: Patience
) -> None:
    engine = await make(patience)
    error = await fail(engine, make_job(text=f"{word} over this"))
    assert error.code == "engine_error"
    assert why in str(engine.status["last_failure"])
    await until(lambda: engine.models)
    await read(engine, make_job())


async def test_engine_that_fails_every_job_from_now_on_is_found_out_under_load(make: Make) -> None:
    engine = await make(delay_s=0.01)
    busy = asyncio.create_task(read(engine, make_job("busy", text="word " * 4000)))
    await until(lambda: engine._watchdog.gaps.count)
    await read(engine, make_job(text="spoil it"))
    assert (await fail(engine, make_job())).code == "engine_error"
    with pytest.raises(GenerationError):
        await busy
    assert "self-test" in str(engine.status["last_failure"])
    await until(lambda: engine.models)
    await read(engine, make_job())


async def test_steps_of_the_engine_are_a_sign_of_life(make: Make) -> None:
    engine = await make()
    await until(lambda: "steps" in engine.status)
    assert engine._watchdog.steps == engine.status["steps"]


async def test_cancelled_job_that_does_not_end_is_a_hang(make: Make) -> None:
    engine = await make(replace(USUAL, gap_cap_s=300, stop_s=1.0))
    error: GenerationError | None = None
    try:
        async for said in engine.generate(make_job(text="stall here")):
            assert isinstance(said, Piece)
            engine.cancel("j1", 1)
    except GenerationError as caught:
        error = caught
    assert error is not None
    assert "cancelled" in error.message


async def test_idle_engine_is_tested_again_and_again(make: Make, tmp_path: Path) -> None:
    log = tmp_path / "answers"
    engine = await make(replace(USUAL, test_every_s=0.1), log=str(log))
    await until(lambda: log.read_text().count("self-test") >= 3)
    assert engine.status["restarts"] == 0


@pytest.mark.parametrize(("how", "words"), [("raise", "told to"), ("crash", "SIGKILL")])
async def test_engine_that_cannot_be_loaded_at_first_is_a_named_error(
    make: Make, tmp_path: Path, how: str, words: str
) -> None:
    (tmp_path / "switch").write_text(how)
    with pytest.raises(EngineLoadError, match=words):
        await make(switch=str(tmp_path / "switch"))


async def test_engine_whose_self_test_fails_is_never_served(make: Make) -> None:
    with pytest.raises(EngineLoadError, match="self-test"):
        await make(said="raise")


@pytest.mark.parametrize("factory", ["no_such_module:Engine", f"{BREAKING}Unknown"])
async def test_engine_that_is_not_installed_is_a_named_error(factory: str) -> None:
    engine = IsolatedEngine(Recipe(factory))
    with pytest.raises(EngineLoadError, match=factory.partition(":")[0].partition(".")[0]):
        await engine.prepare()
    await engine.close()


async def test_crash_loop_goes_on_and_is_said_until_the_cause_is_gone(
    make: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    switch = tmp_path / "switch"
    engine = await make(switch=str(switch))
    switch.write_text("crash")
    os.kill(int(engine.status["pid"]), signal.SIGKILL)
    await until(lambda: int(engine.status["failures_in_a_row"]) >= 3)
    assert engine.status["state"] == "restarting"
    errors = [r for r in caplog.records if r.levelno == logging.ERROR]
    assert "failure 3 in a row" in errors[0].getMessage()
    switch.unlink()
    await until(lambda: engine.models)
    await read(engine, make_job())


async def test_spare_process_takes_over_and_another_one_is_made(make: Make) -> None:
    patience = replace(USUAL, spare_idle_s=0.0, spare_again_s=0.0)
    engine = await make(patience, preload=("motherfluxer_model.engines.echo", "no_such_module"))

    def spare_pid() -> int:
        return engine._spare.pid

    await until(spare_pid)
    first = spare_pid()
    os.kill(int(engine.status["pid"]), signal.SIGKILL)
    await until(lambda: engine.status["restarts"] == 1 and engine.models)
    assert engine.status["pid"] == first
    await until(spare_pid)
    second = spare_pid()
    os.kill(second, signal.SIGKILL)
    await until(lambda: spare_pid() not in (0, second))
    third = spare_pid()
    await engine.close()
    assert not any(is_alive(pid) for pid in (first, second, third))


async def test_close_while_loading_leaves_no_process(tmp_path: Path) -> None:
    (tmp_path / "switch").write_text("block")
    recipe = Recipe(BREAKING, {"switch": str(tmp_path / "switch")})
    engine = IsolatedEngine(recipe)
    prepared = asyncio.create_task(engine.prepare())
    await until(lambda: engine.status["pid"])
    pid = int(engine.status["pid"])
    prepared.cancel()
    await asyncio.gather(prepared, return_exceptions=True)
    await engine.close()
    assert not is_alive(pid)


async def test_signals_for_the_whole_group_leave_the_engine_to_its_parent(make: Make) -> None:
    engine = await make()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(int(engine.status["pid"]), number)
    await read(engine, make_job())
    assert engine.status["restarts"] == 0


async def test_process_gets_no_credential(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOTHERFLUXER_CREDENTIAL", "mfi_abcdef_verysecret")
    engine = await make()
    place = Path(f"/proc/{engine.status['pid']}")
    for name in ("environ", "cmdline"):
        assert b"verysecret" not in (place / name).read_bytes()
