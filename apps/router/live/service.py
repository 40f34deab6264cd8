"""The live router: the core's one writer."""

from collections.abc import Callable, Iterable
from typing import Protocol

from apps.router.core.effects import Effect
from apps.router.core.events import Event
from apps.router.core.state import RouterState
from apps.router.core.step import step


class Recorder(Protocol):
    """Keeps what the core is given and what follows."""

    def before(self, event: Event, at: float) -> Event:
        """Record an event that the core has yet to be given, and return what to give it."""
        ...

    def after(self, effects: Iterable[Effect]) -> None:
        """Record what followed."""
        ...


class RouterService:
    """Holds the core's state and gives it the time."""

    def __init__(
        self,
        *,
        clock: Callable[[], float],
        state: RouterState | None = None,
        recorder: Recorder | None = None,
    ) -> None:
        self.clock = clock
        self.state = state or RouterState()
        self.recorder = recorder

    def handle(self, event: Event) -> list[Effect]:
        """Apply one event now."""
        now = self.clock()
        if self.recorder is None:
            return step(self.state, event, now)
        effects = step(self.state, self.recorder.before(event, now), now)
        self.recorder.after(effects)
        return effects
