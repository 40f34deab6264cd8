"""The port between the link's side and whatever generates text."""

from collections.abc import AsyncIterator, Callable
from typing import Protocol

from motherfluxer_model.core.answer import Finished, Piece
from motherfluxer_wire.frames import Job, Model


class Engine(Protocol):
    """Answers jobs. All methods are called in the event loop's thread and must not block it.

    An engine raises `GenerationError` for a job that it cannot answer; any other exception counts
    as a fault of the engine in this one job.
    """

    async def prepare(self) -> None:
        """Load what is needed. Raises EngineLoadError."""

    def watch(self, when_changed: Callable[[], None]) -> None:
        """Call this, in the loop's thread, each time after `models` has changed.

        An engine that breaks down empties `models` and calls before it ends the answers that
        fail by it; so the router hears of the pause first.
        """

    @property
    def models(self) -> list[Model]:
        """What is served, capabilities included; known once prepared, empty while it is down."""

    @property
    def hardware(self) -> dict[str, str | int | float]:
        """What it runs on, for people to read."""

    @property
    def status(self) -> dict[str, str | int | float]:
        """What the health report says of it beside its kind and state.

        `steps`, where given, counts up while it works: a sign of life that may have no text.
        """

    def generate(self, job: Job) -> AsyncIterator[Piece | Finished]:
        """Answer a job: pieces of whole tokens and whole characters, then one `Finished`.

        Only what comes after the job's prefix is given. After `cancel` the stream ends soon with
        a `Finished` whose reason is `cancelled`.
        """

    def cancel(self, job: str, attempt: int) -> None:
        """Stop this attempt between two tokens; unknown ones are ignored."""

    async def close(self) -> None:
        """Stop everything and free what is held."""
