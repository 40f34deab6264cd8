"""When to write what can wait: at once after a quiet moment, else so long after the last round."""

import asyncio
from collections.abc import Callable
from typing import Final

# A loop's clock may count whole milliseconds, so that a timer seems to ring a little early.
CLOCK_STEP_S: Final = 0.001


class Pace:
    """The pace of one kind of writing. `wake` is called when it is time."""

    def __init__(self, *, wake: Callable[[], None], every_s: float) -> None:
        self._wake = wake
        self._every_s = every_s
        self._next_at = float("-inf")
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_due(self) -> bool:
        """Whether enough time has passed since the last round."""
        return _now() > self._next_at - CLOCK_STEP_S

    def begin_round(self) -> None:
        """Note that all that waits is written now."""
        self.hold(self._every_s)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def hold(self, pause_s: float) -> None:
        """Let so much time pass before the next round."""
        self._next_at = _now() + pause_s

    def wake_when_due(self) -> None:
        """See that somebody is woken when it is time, once."""
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_at(max(self._next_at, loop.time()), self._ring)

    def _ring(self) -> None:
        self._timer = None
        self._wake()


def _now() -> float:
    return asyncio.get_running_loop().time()
