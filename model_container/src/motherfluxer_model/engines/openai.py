"""The engine that forwards to an OpenAI-compatible server: vLLM, llama.cpp, Ollama, TGI and others.

    job --question, manner--> relay --HTTP--> server        roster: which models, and how to ask

It loads nothing itself, so it grows with the server: more graphics cards, more machines.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing

from motherfluxer_model.core.answer import Finished, Piece
from motherfluxer_model.core.manner import Question
from motherfluxer_model.engines.client import Client
from motherfluxer_model.engines.relay import Relay
from motherfluxer_model.engines.roster import Roster, Served
from motherfluxer_model.errors import GenerationError
from motherfluxer_model.upstream import Upstream
from motherfluxer_wire.frames import Job, Message, Model


class OpenAIEngine:
    """Serves what one server serves, under the same names or their last parts."""

    def __init__(
        self, upstream: Upstream, *, model_name: str = "", revision: str | None = None
    ) -> None:
        self._client = Client(upstream)
        self._roster = Roster(self._client, upstream, model_name, revision)
        self._relays: dict[tuple[str, int], Relay] = {}
        self._keeping: asyncio.Task[None] | None = None

    async def prepare(self) -> None:
        """Wait for the server and find out how it wants to be asked. Raises EngineLoadError."""
        await self._roster.begin()
        self._keeping = asyncio.create_task(self._roster.keep(), name="watch the server")

    def watch(self, when_changed: Callable[[], None]) -> None:
        """Call this each time after `models` has changed."""
        self._roster.when_changed = when_changed

    @property
    def models(self) -> list[Model]:
        """What the server serves now; nothing while it is down."""
        return [one.model for one in self._roster.served.values()]

    @property
    def hardware(self) -> dict[str, str | int | float]:
        """Say that another program computes; where it stands is nobody's business."""
        owners = {one.entry.told.get("owned_by") for one in self._roster.served.values()}
        names = ", ".join(sorted(name for name in owners if isinstance(name, str)))[:64]
        return {"device": f"OpenAI-compatible server{f' ({names})' if names else ''}"}

    @property
    def status(self) -> dict[str, str | int | float]:
        """Which server, and how many answers come from it now."""
        return {
            "upstream": self._client.url,
            "upstream_state": "down" if self._roster.is_down else "up",
            "upstream_streams": len(self._relays),
        }

    async def generate(self, job: Job) -> AsyncIterator[Piece | Finished]:
        """Answer a job; see the port."""
        served = self._find(job)
        relay = self._relays[(job.job, job.attempt)] = Relay(
            self._client,
            served.found.manner,
            _question(job, served),
            context_tokens=served.model.context_tokens,
            render=served.render,
            doubt=self._roster.doubt,
        )
        try:
            async with aclosing(relay.items()) as items:
                async for item in items:
                    yield item
        finally:
            self._relays.pop((job.job, job.attempt), None)

    def cancel(self, job: str, attempt: int) -> None:
        """Close this attempt's connection."""
        relay = self._relays.get((job, attempt))
        if relay is not None:
            relay.cancel()

    async def close(self) -> None:
        """Close everything; the server hears of it by that."""
        if self._keeping is not None:
            self._keeping.cancel()
        for relay in list(self._relays.values()):
            relay.cancel()
        await self._client.close()

    def _find(self, job: Job) -> Served:
        served = self._roster.served.get(job.model)
        if served is None and self._roster.is_down:
            words = "the server behind this instance is down"
            raise GenerationError("overloaded", words, retryable=True)
        if served is None:
            raise GenerationError("unsupported", f"{job.model} is not here")
        if job.revision not in (None, "", served.model.revision):
            words = f"{job.model} is here as {served.model.revision} only"
            raise GenerationError("unsupported", words)
        if job.prefix and not served.model.can_continue:
            raise GenerationError("unsupported", f"{job.model} cannot go on with an answer here")
        return served


def _question(job: Job, served: Served) -> Question:
    """Make what is asked: marks that a user typed are broken up, in the answer so far too."""
    messages, prefix = tuple(job.messages), job.prefix
    if (breaker := served.found.breaker) is not None:
        messages = tuple(Message(role=one.role, content=breaker(one.content)) for one in messages)
        prefix = breaker(prefix)
    longest = served.model.max_output_tokens
    wanted = job.sampling.max_tokens or longest
    return Question(messages, min(wanted, longest), prefix, job.sampling)
