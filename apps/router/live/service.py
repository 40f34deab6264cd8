"""The live router: the core's one writer."""

from collections.abc import Callable

from apps.router.core.effects import Effect
from apps.router.core.events import Event
from apps.router.core.state import RouterState
from apps.router.core.step import step


class RouterService:
    """Holds the core's state and gives it the time."""

    def __init__(self, *, clock: Callable[[], float], state: RouterState | None = None) -> None:
        self.clock = clock
        self.state = state or RouterState()

    def handle(self, event: Event) -> list[Effect]:
        """Apply one event now."""
        return step(self.state, event, self.clock())
