"""An engine in a process of its own, which is watched and made anew when it breaks.

The main process stays light and connected: a crash, a kill or a hang of the engine ends its
process, fails what ran there as retryable, and is followed by another process.
"""

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from motherfluxer_model.core.answer import Finished, Piece
from motherfluxer_model.core.pipe import (
    Begin,
    Ended,
    Facts,
    Failed,
    FromHost,
    Ping,
    Pong,
    Ready,
    Run,
    Said,
    Stop,
    Unfit,
)
from motherfluxer_model.core.supervision import Phase, Supervision
from motherfluxer_model.core.watchdog import Patience, Watchdog
from motherfluxer_model.engines.calls import Calls
from motherfluxer_model.engines.process import HostProcess
from motherfluxer_model.engines.spare import Spare
from motherfluxer_model.errors import EngineLoadError, GenerationError
from motherfluxer_wire.frames import Job, Message, Model, Sampling

logger = logging.getLogger(__name__)
LOOK_S: Final = 0.25
KEEP_EVERY_S: Final = 1.0
MANY_FAILURES: Final = 3
AGAIN: Final = "the engine is being started again"


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to make the engine inside its process: "module:name", called with the arguments.

    With modules to preload a spare process imports them, so that the next start is a quick one.
    """

    factory: str
    arguments: dict[str, Any] = field(default_factory=dict)
    preload: Sequence[str] = ()


class IsolatedEngine:
    """Keeps one engine's process alive; see the port."""

    def __init__(self, recipe: Recipe, *, patience: Patience | None = None) -> None:
        self._recipe = recipe
        self._patience = patience or Patience()
        self._course = Supervision()
        self._models: list[Model] = []
        self._usual_models: list[Model] = []
        self._hardware: Facts = {}
        self._engine_status: Facts = {}
        self._last_failure = ""
        self._calls = Calls()
        self._watchdog = Watchdog(self._patience)
        self._process = HostProcess()
        self._spare = Spare(recipe.preload, self._patience)
        self._when_changed: Callable[[], None] = lambda: None
        self._is_served = asyncio.Event()
        self._is_suspect = False
        self._loaded: asyncio.Future[Ready | Unfit] | None = None
        self._work: asyncio.Task[None] | None = None

    async def prepare(self) -> None:
        """Start the process and wait until its engine has passed the self-test."""
        self._work = asyncio.create_task(self._supervise(), name="engine")
        served = asyncio.create_task(self._is_served.wait())
        try:
            await asyncio.wait((self._work, served), return_when=asyncio.FIRST_COMPLETED)
        finally:
            served.cancel()
        if self._work.done():
            await self._work

    def watch(self, when_changed: Callable[[], None]) -> None:
        """Call this each time after `models` has changed."""
        self._when_changed = when_changed

    @property
    def models(self) -> list[Model]:
        """What the engine serves; nothing while it is down."""
        return self._models

    @property
    def hardware(self) -> Facts:
        """What it runs on."""
        return self._hardware

    @property
    def status(self) -> Facts:
        """Where its process stands, and what the engine says of itself."""
        return {
            **self._engine_status,
            "state": _state_words(self._course),
            "pid": self._process.pid,
            "restarts": self._course.restarts,
            "failures_in_a_row": self._course.failures,
            "last_failure": self._last_failure,
        }

    def generate(self, job: Job) -> AsyncIterator[Piece | Finished]:
        """Answer a job; see the port."""
        if self._course.phase is not Phase.READY:
            raise GenerationError("overloaded", AGAIN, retryable=True)
        return self._ask(job)

    def cancel(self, job: str, attempt: int) -> None:
        """Stop this attempt."""
        handle = self._calls.find(job, attempt)
        if handle is not None:
            self._watchdog.stopped(handle, time.monotonic())
            self._process.send(Stop(handle))

    async def close(self) -> None:
        """End every process."""
        if self._course.phase is Phase.CLOSED:
            return
        self._course = self._course.closed()
        self._calls.fail(GenerationError("engine_error", "the container stops", retryable=True))
        if self._work is not None:
            self._work.cancel()
            await asyncio.gather(self._work, return_exceptions=True)
        await self._process.kill()
        await self._spare.close()

    async def _supervise(self) -> None:
        """Keep a process running. Raises EngineLoadError when the first one comes to nothing."""
        while True:
            try:
                why = await self._live()
            except Exception as error:  # the rim of one process: another one must follow
                logger.exception("the engine cannot be looked after")
                why = f"{type(error).__name__}: {error}"
            self._go_down(why)
            await self._process.kill()
            if self._course.phase is Phase.FAILED:
                raise EngineLoadError(why)
            await asyncio.sleep(self._course.wait_s)
            self._course = self._course.rested()

    async def _live(self) -> str:
        """Let a process load and serve; give the reason why it is over. Raises OSError."""
        if (process := self._spare.take()) is None:
            process = HostProcess()
            await process.start()
        self._process = process
        self._loaded = asyncio.get_running_loop().create_future()
        self._watchdog = Watchdog(self._patience)
        self._engine_status, self._is_suspect = {}, False
        process.listener = self._receive
        process.send(Begin(self._recipe.factory, self._recipe.arguments))
        return await _first_of(process.wait(), self._look_after(process), self._serve())

    async def _serve(self) -> str:
        assert self._loaded is not None  # noqa: S101  made before
        loaded = await self._loaded
        if isinstance(loaded, Unfit):
            return loaded.why
        self._course = self._course.loaded()
        self._watchdog.is_loading = False
        if failure := await self._self_test(loaded.models):
            return failure
        self._go_up(loaded)
        while True:
            await asyncio.sleep(KEEP_EVERY_S)
            idle_s = time.monotonic() - self._watchdog.sign_at if not self._calls else 0.0
            if self._is_suspect or idle_s >= self._patience.test_every_s:
                self._is_suspect = False
                if failure := await self._self_test(loaded.models):
                    return failure
            served_s = time.monotonic() - self._course.ready_at
            await self._spare.keep(idle_s=idle_s, served_s=served_s)

    async def _self_test(self, models: list[Model]) -> str:
        """Let the engine say something; give what is wrong with it, or nothing."""
        job = _test_job(models[0])
        try:
            async with asyncio.timeout(self._patience.test_s):
                async with contextlib.aclosing(self._ask(job)) as said:
                    async for _ in said:
                        pass
        except GenerationError as error:
            return f"its self-test failed: {error.message}"
        except TimeoutError:
            return f"its self-test has not ended within {self._patience.test_s:g} s"
        return ""

    async def _look_after(self, process: HostProcess) -> str:
        """Ping the process and watch its pace; give the reason to end it."""
        while True:
            now_s = time.monotonic()
            if (why := self._watchdog.judge(now_s)) is not None:
                return why
            self._doubt(self._watchdog.is_doubtful(now_s))
            process.send(Ping())
            self._watchdog.pinged(now_s)
            await asyncio.sleep(LOOK_S)

    def _doubt(self, is_doubtful: bool) -> None:
        """Serve nothing new while something is overdue."""
        is_up = self._course.phase is Phase.READY
        models = self._usual_models if is_up and not is_doubtful else []
        if is_up and models != self._models:
            logger.info("the engine is %s", "late, and gets no new jobs" if is_doubtful else "back")
            self._models = models
            self._when_changed()

    def _go_up(self, loaded: Ready) -> None:
        now_s = time.monotonic()
        self._course = self._course.passed(now_s)
        self._models = self._usual_models = loaded.models
        self._hardware = loaded.hardware
        self._is_served.set()
        if self._course.restarts:
            logger.info("the engine serves again (process %d)", self._process.pid)
        self._when_changed()

    def _go_down(self, why: str) -> None:
        """Note the end of a process; whatever ran there is over at once."""
        self._course = self._course.lost(time.monotonic(), random.random())  # noqa: S311  jitter
        self._last_failure = why
        if self._models:
            self._models = []
            self._when_changed()
        words = f"the engine broke down: {why}"
        lost_count = len(self._calls)
        self._calls.fail(GenerationError("engine_error", words, retryable=True))
        if self._course.phase is Phase.FAILED:
            return
        course = self._course
        level = logging.ERROR if course.failures >= MANY_FAILURES else logging.WARNING
        logger.log(
            level,
            "the engine (process %d) broke down, %d running jobs fail: %s; failure %d in a row, "
            "starting again in %.1f s",
            *(self._process.pid, lost_count, why, course.failures, course.wait_s),
        )

    async def _ask(self, job: Job) -> AsyncGenerator[Piece | Finished, None]:
        handle, answer = self._calls.open(job)
        chars = sum(len(message.content) for message in job.messages) + len(job.prefix)
        self._watchdog.began(handle, chars, time.monotonic())
        self._process.send(Run(handle, job))
        said: Piece | Finished | GenerationError | None = None
        try:
            while not isinstance(said, Finished):
                said = await answer.get()
                if isinstance(said, GenerationError):
                    raise said
                yield said
        finally:
            if not isinstance(said, Finished | GenerationError):  # nobody listens any more
                self._process.send(Stop(handle))
            self._calls.close(job, handle)

    def _receive(self, messages: list[FromHost]) -> None:
        now_s = time.monotonic()
        for message in messages:
            if isinstance(message, Said):
                self._watchdog.heard(message.handle, now_s)
                piece = Piece(message.text, message.tokens, message.token_ids)
                self._calls.tell(message.handle, piece)
            elif isinstance(message, Ended | Failed):
                # A fault may be the job's, or the engine's from now on.
                self._is_suspect |= isinstance(message, Failed) and message.code == "engine_error"
                self._watchdog.ended(message.handle, now_s, _read_tokens(message))
                self._calls.tell(message.handle, _ending(message))
            elif isinstance(message, Pong):
                self._engine_status = message.status
                self._watchdog.ponged(float(message.status.get("steps", 0)), now_s)
            elif self._loaded is not None and not self._loaded.done():
                self._loaded.set_result(message)


def _read_tokens(message: Ended | Failed) -> int:
    if isinstance(message, Failed):
        return 0
    return message.usage.prompt_tokens - (message.usage.cached_tokens or 0)


def _ending(message: Ended | Failed) -> Finished | GenerationError:
    if isinstance(message, Ended):
        return Finished(message.reason, message.usage, message.timings)
    return GenerationError(message.code, message.why, retryable=message.retryable)


def _test_job(model: Model) -> Job:
    return Job(
        job="self-test",
        attempt=1,
        model=model.name,
        messages=[Message(role="user", content="hello")],
        sampling=Sampling(max_tokens=2, temperature=0, seed=0),
        service_class="probe",
    )


def _state_words(course: Supervision) -> str:
    """Say in the health report's words where the engine stands."""
    if course.phase in (Phase.READY, Phase.FAILED, Phase.CLOSED):
        return course.phase.value
    return "restarting" if course.has_served else "loading"


async def _first_of(*works: Coroutine[Any, Any, str]) -> str:
    """Do all of them until one is done; give what that says."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return next(task for task in tasks if task in done).result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
