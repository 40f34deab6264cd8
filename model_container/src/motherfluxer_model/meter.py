"""Asking an engine questions and taking the time, without a router."""

import asyncio
import time
from itertools import count
from typing import Final

from motherfluxer_model.core.answer import Finished, Piece
from motherfluxer_model.core.speed import Level, Sample, summarise
from motherfluxer_model.engines.port import Engine
from motherfluxer_model.errors import GenerationError, NoAnswerError
from motherfluxer_wire.frames import Job, Message, Sampling

ANSWER_TOKENS: Final = 128
FIRST_TOKEN_WAIT_S: Final = 120.0
# Begins with a number, so that no job finds in a cache what an earlier one left there.
QUESTION: Final = "{number}. Tell me at length what a lighthouse keeper does from dusk till dawn."


class Meter:
    """Measures one engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._model_name = engine.models[0].name
        self._numbers = count(1)

    async def measure(self, concurrency: int, seconds: float) -> Level:
        """Keep so many jobs running for so long; longer where first tokens are still to come.

        Raises NoAnswerError when nothing was answered.
        """
        samples: list[Sample] = []
        started_s = time.monotonic()
        readers = [Reader(self, samples) for _ in range(concurrency)]
        try:
            begun = [asyncio.create_task(reader.has_begun.wait()) for reader in readers]
            await asyncio.wait(begun, timeout=FIRST_TOKEN_WAIT_S)
            rest_s = seconds - (time.monotonic() - started_s)
            if rest_s > 0:
                await asyncio.wait([reader.task for reader in readers], timeout=rest_s)
            took_s = time.monotonic() - started_s
        finally:
            tasks = [*begun, *(reader.task for reader in readers)]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        level = summarise(concurrency, samples, took_s)
        if not level.tokens:
            failures = [sample.failure for sample in samples if sample.failure]
            raise NoAnswerError(failures[-1] if failures else "no token came")
        return level

    async def ask(
        self, sample: Sample, max_tokens: int = ANSWER_TOKENS, begun: asyncio.Event | None = None
    ) -> None:
        """Ask one question and note how its answer comes."""
        job = self._make_job(max_tokens)
        try:
            async for said in self._engine.generate(job):
                if isinstance(said, Piece) and begun is not None:
                    begun.set()
                _note(sample, said)
        except GenerationError as error:
            sample.failure = f"{error.code}: {error.message}"
        except asyncio.CancelledError:
            self._engine.cancel(job.job, job.attempt)
            raise

    def _make_job(self, max_tokens: int) -> Job:
        number = next(self._numbers)
        return Job(
            job=f"measure-{number}",
            attempt=1,
            model=self._model_name,
            messages=[Message(role="user", content=QUESTION.format(number=number))],
            sampling=Sampling(max_tokens=max_tokens, temperature=0.0, seed=number),
            service_class="probe",
        )


class Reader:
    """Asks one question after the other until it is stopped or one fails."""

    def __init__(self, meter: Meter, samples: list[Sample]) -> None:
        self.has_begun = asyncio.Event()  # an answer, or its failure, has begun to come
        self._meter = meter
        self._samples = samples
        self.task = asyncio.create_task(self._read())

    async def _read(self) -> None:
        while True:
            sample = Sample(time.monotonic())
            self._samples.append(sample)
            try:
                await self._meter.ask(sample, begun=self.has_begun)
            finally:
                self.has_begun.set()
            if sample.failure is not None:
                return


def _note(sample: Sample, said: Piece | Finished) -> None:
    if isinstance(said, Finished):
        sample.is_whole = said.reason != "cancelled"
        return
    if sample.first_s is None:
        sample.first_s = time.monotonic()
    sample.tokens += said.tokens
