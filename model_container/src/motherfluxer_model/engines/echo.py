"""The engine that needs no model: it says the last user message again, word by word.

For trying out the way from the visitor to an instance and back, and for tests: the answer is
known beforehand, a token is a word with the blanks before it, and the pace can be set.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from typing import Final

from motherfluxer_model.core.answer import Finished, Piece
from motherfluxer_model.core.stops import StopFinder
from motherfluxer_model.errors import GenerationError
from motherfluxer_wire.fields import FinishReason
from motherfluxer_wire.frames import Job, Model, Usage

CONTEXT_TOKENS: Final = 8192
MAX_OUTPUT_TOKENS: Final = 4096
_TOKEN = re.compile(r"\s*\S+|\s+$")


def split_words(text: str) -> list[str]:
    """Cut a text into this engine's tokens; joined they are the text again."""
    return _TOKEN.findall(text)


class EchoEngine:
    """Repeats the last user message, or goes on with it after a prefix."""

    def __init__(self, model_name: str = "echo", *, delay_s: float = 0.0) -> None:
        self._model = Model(
            name=model_name,
            revision="1",
            context_tokens=CONTEXT_TOKENS,
            max_output_tokens=MAX_OUTPUT_TOKENS,
            capabilities=["chat", "continue"],
        )
        self._delay_s = delay_s
        self._cancelled: dict[tuple[str, int], asyncio.Event] = {}

    async def prepare(self) -> None:
        """Do nothing: there is nothing to load."""

    def watch(self, when_changed: Callable[[], None]) -> None:
        """Do nothing: what is served never changes."""

    @property
    def models(self) -> list[Model]:
        """The one model, by the name it was given."""
        return [self._model]

    @property
    def hardware(self) -> dict[str, str | int | float]:
        """Say that no model runs here."""
        return {"device": "none (echo)"}

    @property
    def status(self) -> dict[str, str | int | float]:
        """Nothing to speak of."""
        return {}

    async def generate(self, job: Job) -> AsyncIterator[Piece | Finished]:
        """Say the last user message again, from where the prefix ends."""
        if job.model != self._model.name:
            raise GenerationError("unsupported", f"only {self._model.name} is here")
        prompt_tokens = sum(len(split_words(message.content)) for message in job.messages)
        if prompt_tokens >= CONTEXT_TOKENS:
            raise GenerationError("context_overflow", f"over {CONTEXT_TOKENS} words")
        rest = split_words(_rest_of_answer(job))
        told_count = len(split_words(job.prefix))
        room = max(0, (job.sampling.max_tokens or MAX_OUTPUT_TOKENS) - told_count)
        cancelled = self._cancelled[(job.job, job.attempt)] = asyncio.Event()
        stops = StopFinder(job.sampling.stop or [], job.prefix)
        sent = 0
        try:
            async for piece in self._say(rest[:room], stops, cancelled):
                sent += piece.tokens
                yield piece
        finally:
            self._cancelled.pop((job.job, job.attempt), None)
        reason: FinishReason = "length" if len(rest) > room and not stops.is_found else "stop"
        usage = Usage(prompt_tokens=prompt_tokens, completion_tokens=sent)
        yield Finished("cancelled" if cancelled.is_set() else reason, usage)

    def cancel(self, job: str, attempt: int) -> None:
        """Stop before the next word."""
        if (job, attempt) in self._cancelled:
            self._cancelled[(job, attempt)].set()

    async def close(self) -> None:
        """Stop all answers."""
        for cancelled in self._cancelled.values():
            cancelled.set()

    async def _say(
        self, tokens: list[str], stops: StopFinder, cancelled: asyncio.Event
    ) -> AsyncIterator[Piece]:
        held: list[str] = []
        shown = 0
        for token in tokens:
            await self._pause(cancelled)
            if cancelled.is_set():
                return
            held.append(token)
            stop_at = stops.feed(token)
            if stop_at is not None:
                text = "".join(held)[: stop_at - shown]
                if text:
                    yield Piece(text, len(split_words(text)))
                return
            if stops.safe_until >= shown + sum(map(len, held)):
                yield Piece("".join(held), len(held))
                shown += sum(map(len, held))
                held.clear()
        if held:
            yield Piece("".join(held), len(held))

    async def _pause(self, cancelled: asyncio.Event) -> None:
        if not self._delay_s:
            await asyncio.sleep(0)
            return
        try:
            async with asyncio.timeout(self._delay_s):
                await cancelled.wait()
        except TimeoutError:
            pass


def _rest_of_answer(job: Job) -> str:
    said = [message.content for message in job.messages if message.role == "user"]
    answer = said[-1] if said and said[-1].strip() else "(nothing was said)"
    if answer.startswith(job.prefix):
        return answer[len(job.prefix) :]
    # The beginning of another answer: go on after as many words.
    return "".join(split_words(answer)[len(split_words(job.prefix)) :])
