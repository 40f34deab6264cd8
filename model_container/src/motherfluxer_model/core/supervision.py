"""Where the engine's process stands, and how long to wait before the next one. Pure.

loading --loaded--> testing --passed--> ready
loading, testing, ready --lost--> resting --rested--> loading
loading, testing --unfit, before it ever served--> failed
any --closed--> closed
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from motherfluxer_model.errors import IllegalPhaseError

FIRST_WAIT_S: Final = 0.5
LONGEST_WAIT_S: Final = 60.0
STEADY_S: Final = 60.0  # who served for so long has ended the series of failures


class Phase(StrEnum):
    """Where the engine's process stands."""

    LOADING = "loading"
    TESTING = "testing"
    READY = "ready"
    RESTING = "resting"
    FAILED = "failed"
    CLOSED = "closed"


TRANSITIONS: Final[dict[Phase, frozenset[Phase]]] = {
    Phase.LOADING: frozenset({Phase.TESTING, Phase.RESTING, Phase.FAILED, Phase.CLOSED}),
    Phase.TESTING: frozenset({Phase.READY, Phase.RESTING, Phase.FAILED, Phase.CLOSED}),
    Phase.READY: frozenset({Phase.RESTING, Phase.CLOSED}),
    Phase.RESTING: frozenset({Phase.LOADING, Phase.CLOSED}),
    Phase.FAILED: frozenset({Phase.CLOSED}),
    Phase.CLOSED: frozenset(),
}


@dataclass(frozen=True, slots=True)
class Supervision:
    """The course of an engine's processes so far.

    `failures` counts those in a row that did not serve for long; `wait_s` is how long to rest.
    """

    phase: Phase = Phase.LOADING
    failures: int = 0
    restarts: int = 0
    has_served: bool = False
    ready_at: float = 0.0
    wait_s: float = 0.0

    def loaded(self) -> "Supervision":
        """Go on after loading."""
        return self._moved(Phase.TESTING)

    def passed(self, now_s: float) -> "Supervision":
        """Go on after the self-test: it serves."""
        return replace(self._moved(Phase.READY), has_served=True, ready_at=now_s)

    def lost(self, now_s: float, draw: float) -> "Supervision":
        """Go on after the process ended or was given up; `draw` from [0, 1) spreads the waiting.

        An engine that never served has failed: its operator should hear of it now.
        """
        if not self.has_served:
            return self._moved(Phase.FAILED)
        was_steady = self.phase is Phase.READY and now_s - self.ready_at >= STEADY_S
        failures = 1 if was_steady else self.failures + 1
        wait_s = _wait_s(failures) * (1 + draw) / 2
        return replace(self._moved(Phase.RESTING), failures=failures, wait_s=wait_s)

    def rested(self) -> "Supervision":
        """Go on after the rest: the next process begins."""
        return replace(self._moved(Phase.LOADING), restarts=self.restarts + 1)

    def closed(self) -> "Supervision":
        """End it all."""
        return self._moved(Phase.CLOSED)

    def _moved(self, phase: Phase) -> "Supervision":
        if phase not in TRANSITIONS[self.phase]:
            raise IllegalPhaseError(self.phase, phase)
        return replace(self, phase=phase)


def _wait_s(failures: int) -> float:
    """The first failure is made good at once, those that follow wait twice as long each."""
    if failures <= 1:
        return 0.0
    return min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** min(failures - 2, 16))
