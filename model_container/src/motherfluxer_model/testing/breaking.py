"""An engine for tests that breaks as it is told: the echo engine, and words that hurt it."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

from motherfluxer_model.core.answer import Finished, Piece
from motherfluxer_model.engines.echo import EchoEngine
from motherfluxer_model.errors import EngineLoadError
from motherfluxer_wire.frames import Job

FOREVER_S = 3600.0


class BreakingEngine(EchoEngine):
    """Repeats a question; after its first word it does what that says, if it is one of these.

    crash: its process ends. block: its process does nothing any more. stall: the answer stands
    still for ever. raise: the answer fails. spoil: so does every later one. `said` stands for each
    question's first word. While the file `switch` exists, loading does what it says. Each job's id
    becomes a line of the file `log`.
    """

    def __init__(
        self,
        model_name: str = "echo",
        *,
        delay_s: float = 0.0,
        switch: str = "",
        said: str = "",
        log: str = "",
    ) -> None:
        super().__init__(model_name, delay_s=delay_s)
        self._switch = Path(switch) if switch else None
        self._said = said
        self._jobs_count = 0
        self._log = Path(log) if log else None

    @property
    def status(self) -> dict[str, str | int | float]:
        """How many jobs came."""
        return {"steps": self._jobs_count}

    async def prepare(self) -> None:
        """Load nothing, or break."""
        if self._switch is not None and self._switch.exists():
            await _break(self._switch.read_text())

    async def generate(self, job: Job) -> AsyncIterator[Piece | Finished]:
        """Answer, or break after the first word."""
        self._jobs_count += 1
        if self._log is not None:
            with self._log.open("a") as file:
                file.write(f"{job.job}\n")
        word = self._said or job.messages[-1].content.split(" ", 1)[0]
        if word == "spoil":
            self._said = "raise"
        async for said in super().generate(job):
            yield said
            await _break(word)


async def _break(how: str) -> None:
    if how == "crash":
        os.kill(os.getpid(), signal.SIGKILL)
    elif how == "block":
        time.sleep(FOREVER_S)  # noqa: ASYNC251  this is the fault
    elif how == "stall":
        await asyncio.sleep(FOREVER_S)
    elif how == "raise":
        raise EngineLoadError("told to raise")
