"""One attempt passed on to a server: its request, the pieces that come back, and its end."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import replace
from typing import Final

from motherfluxer_model.core.answer import Finished, Piece
from motherfluxer_model.core.manner import Manner, Question, Render, make_call
from motherfluxer_model.core.said import Overlap, Said
from motherfluxer_model.core.stops import StopFinder
from motherfluxer_model.engines.client import Client
from motherfluxer_model.errors import AnswerCutError, GenerationError
from motherfluxer_wire.fields import FinishReason
from motherfluxer_wire.frames import Sampling, Usage

logger = logging.getLogger(__name__)
MAX_WAITING_PIECES: Final = 64  # beyond it nothing more is read: the server has to wait
FEWEST_CHARS_PER_TOKEN: Final = 2  # with fewer characters a conversation is not counted before
CHARS_PER_TOKEN: Final = 4  # a rule of thumb, where the server counts nothing

Doubt = Callable[[bool], Awaitable[None]]


class Relay:
    """Asks one question in a task of its own and hands on what is said.

    `doubt` is awaited before an answer that broke off is reported, so that whoever watches the
    server sees first whether it is down; it is told whether the connection broke.
    """

    def __init__(
        self,
        client: Client,
        manner: Manner,
        question: Question,
        *,
        context_tokens: int,
        render: Render | None,
        doubt: Doubt,
    ) -> None:
        self._client = client
        self._manner = manner
        self._question = question
        self._context_tokens = context_tokens
        self._render = render if question.prefix else None
        self._doubt = doubt
        self._said: Said | None = None
        self._prompt_tokens: int | None = None
        self._is_cancelled = False
        self._has_begun = False  # what was shown is never asked for again
        self._items: asyncio.Queue[Piece | Finished | GenerationError] = asyncio.Queue(
            MAX_WAITING_PIECES
        )
        self._task = asyncio.create_task(self._run())

    async def items(self) -> AsyncGenerator[Piece | Finished]:
        """Give pieces, then the ending. Raises GenerationError."""
        try:
            while True:
                item = await self._items.get()
                if isinstance(item, GenerationError):
                    raise item
                yield item
                if isinstance(item, Finished):
                    return
        finally:
            await self._end()

    def cancel(self) -> None:
        """Close the connection, which is how the server hears of it, and end the answer."""
        if self._is_cancelled or self._task.done():
            return
        self._is_cancelled = True
        self._task.cancel()
        while not self._items.empty():
            self._items.get_nowait()
        self._items.put_nowait(self._finished("cancelled"))

    async def _end(self) -> None:
        self._task.cancel()
        await asyncio.wait({self._task})

    async def _run(self) -> None:
        try:
            await self._pass_on()
        except GenerationError as error:
            if error.retryable:
                await self._doubt(isinstance(error, AnswerCutError))
            await self._items.put(error)
        except Exception as error:  # the rim of the task: the job must hear of its end
            logger.exception("an answer broke in the openai engine")
            words = f"{type(error).__name__} in the engine"
            await self._items.put(GenerationError("engine_error", words, retryable=True))

    async def _pass_on(self) -> None:
        question = self._question
        if question.prefix:
            question = question.at_most(question.most_tokens - await self._count_prefix())
        question = await self._fit(question)
        if question.most_tokens <= 0:
            await self._items.put(self._finished("length"))
            return
        try:
            await self._tell(question)
        except GenerationError as error:
            if self._has_begun or error.code != "context_overflow":
                raise
            room = await self._find_room(question)
            if not 0 < room < question.most_tokens:
                raise
            await self._tell(question.at_most(room))
        reason = self._said.reason if self._said else None
        await self._items.put(self._finished(reason or "stop"))

    async def _tell(self, question: Question) -> None:
        async with aclosing(self._ask(question)) as pieces:
            async for piece in pieces:
                self._has_begun = True
                await self._items.put(piece)

    async def _ask(self, question: Question) -> AsyncGenerator[Piece]:
        prefix = question.prefix
        sent = prefix.rstrip() if self._manner.is_trimming else prefix
        overlap = Overlap(sent if self._manner.is_echoing else "", prefix[len(sent) :])
        stops = StopFinder(question.sampling.stop or [], prefix)
        said = self._said = Said(stops, question.most_tokens, overlap)
        call = make_call(self._manner, replace(question, prefix=sent), self._render)
        async with aclosing(self._client.say(call, said)) as pieces:
            async for piece in pieces:
                yield piece

    async def _count_prefix(self) -> int:
        """Count the beginning's tokens: by the server, asked for one token with and without it."""
        before, after = await asyncio.gather(
            self._count_prompt(replace(self._question, prefix="")),
            self._count_prompt(self._question),
        )
        self._prompt_tokens = before
        if before is None or after is None:
            return max(1, len(self._question.prefix) // CHARS_PER_TOKEN)
        return max(0, after - before)

    async def _fit(self, question: Question) -> Question:
        """Refuse a conversation that is too long, for a server that would not; cut the limit."""
        chars = sum(len(message.content) for message in question.messages) + len(question.prefix)
        if chars <= FEWEST_CHARS_PER_TOKEN * self._context_tokens:
            return question
        count = await self._count_prompt(question)
        if count is None:
            return question
        if count >= self._context_tokens:
            words = f"{count} tokens, but the model takes {self._context_tokens} in all"
            raise GenerationError("context_overflow", f"the conversation has {words}")
        return question.at_most(min(question.most_tokens, self._context_tokens - count))

    async def _find_room(self, question: Question) -> int:
        """Say how many tokens fit behind a prompt that fits by itself; 0: it does not."""
        try:
            prompt_tokens = await self._count_prompt(question)
        except GenerationError:
            return 0
        return self._context_tokens - prompt_tokens if prompt_tokens is not None else 0

    async def _count_prompt(self, question: Question) -> int | None:
        bare = replace(question, most_tokens=1, sampling=Sampling(temperature=0))
        _, said = await self._client.collect(make_call(self._manner, bare, self._render), 1)
        return said.told.prompt_tokens

    def _finished(self, reason: FinishReason) -> Finished:
        told = self._said.told if self._said else None
        prompt_tokens = self._prompt_tokens
        if prompt_tokens is None and told is not None and not self._question.prefix:
            prompt_tokens = told.prompt_tokens
        if prompt_tokens is None:
            chars = sum(len(message.content) for message in self._question.messages)
            prompt_tokens = chars // CHARS_PER_TOKEN
        tokens = self._said.tokens if self._said else 0
        return Finished(reason, Usage(prompt_tokens, tokens, told.cached_tokens if told else None))
