"""An engine for tests: it says what the test feeds it, when the test feeds it."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable

from motherfluxer_model.core.answer import Finished, Piece
from motherfluxer_wire.fields import FinishReason
from motherfluxer_wire.frames import Job, Model, Usage

FED_MODEL = Model(
    name="echo", context_tokens=100, max_output_tokens=50, capabilities=["chat", "continue"]
)


class FedEngine:
    """Answers each job with what `say`, `finish` and `fail` put in for it, beforehand or later."""

    def __init__(self) -> None:
        self.started: list[tuple[str, int]] = []
        self.cancelled: list[tuple[str, int]] = []
        self.is_closed = False
        self._models = [FED_MODEL]
        self._tell: Callable[[], None] = lambda: None
        self._fed: defaultdict[str, asyncio.Queue[Piece | Finished | Exception]] = defaultdict(
            asyncio.Queue
        )
        self._running: set[tuple[str, int]] = set()

    def say(self, job: str, text: str) -> None:
        """Give a job one token of text."""
        self._fed[job].put_nowait(Piece(text, 1))

    def finish(self, job: str, reason: FinishReason = "stop") -> None:
        """End a job well."""
        usage = Usage(prompt_tokens=1, completion_tokens=1)
        self._fed[job].put_nowait(Finished(reason, usage))

    def fail(self, job: str, error: Exception) -> None:
        """End a job badly."""
        self._fed[job].put_nowait(error)

    def serve(self, *models: Model) -> None:
        """Serve these from now on; none: be down."""
        self._models = list(models)
        self._tell()

    async def prepare(self) -> None:
        """Do nothing."""

    def watch(self, when_changed: Callable[[], None]) -> None:
        """Call this after each `serve`."""
        self._tell = when_changed

    @property
    def models(self) -> list[Model]:
        """One model, or what `serve` was given."""
        return self._models

    @property
    def hardware(self) -> dict[str, str | int | float]:
        """Nothing to speak of."""
        return {"device": "test"}

    @property
    def status(self) -> dict[str, str | int | float]:
        """Nothing to speak of."""
        return {}

    async def generate(self, job: Job) -> AsyncIterator[Piece | Finished]:
        """Pass on what is fed."""
        key = (job.job, job.attempt)
        self.started.append(key)
        self._running.add(key)
        try:
            while True:
                item = await self._fed[job.job].get()
                if isinstance(item, Exception):
                    raise item
                yield item
                if isinstance(item, Finished):
                    return
        finally:
            self._running.discard(key)

    def cancel(self, job: str, attempt: int) -> None:
        """Note it, and end the answer if it runs."""
        self.cancelled.append((job, attempt))
        if (job, attempt) in self._running:
            self.finish(job, "cancelled")

    async def close(self) -> None:
        """Note it."""
        self.is_closed = True
