"""The live router: the core's one writer."""

import secrets
from collections.abc import Callable

from apps.router.core.cluster import Witness
from apps.router.core.effects import Effect
from apps.router.core.events import Event
from apps.router.core.pseudonyms import with_pseudonyms
from apps.router.core.state import RouterState
from apps.router.core.step import step


class RouterService:
    """Holds the core's state and gives it the time.

    The salt of the pseudonyms lives in memory alone and ends with the router.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float],
        state: RouterState | None = None,
        recorder: Witness | None = None,
    ) -> None:
        self.clock = clock
        self.state = state or RouterState()
        self.recorder = recorder
        self._salt = secrets.token_bytes(32)

    def handle(self, event: Event) -> list[Effect]:
        """Apply one event now."""
        now = self.clock()
        event = with_pseudonyms(event, self._salt)
        if self.recorder is None:
            return step(self.state, event, now)
        self.recorder.before(event, now)
        effects = step(self.state, event, now)
        self.recorder.after(effects)
        return effects
