"""Admits one guess at a time: counts the wrong ones, and makes whoever guesses wait.

A guess is counted before it is looked at, so that many at once are no more than one after another.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from apps.accounts.guarding.counters import Counters
from apps.accounts.guarding.ladder import Ladder


@dataclass(frozen=True, slots=True)
class Scope:
    """What is guessed at, or by whom: a name without content, and its ladder."""

    name: str
    ladder: Ladder

    @property
    def wrong_key(self) -> str:
        """Counts the wrong guesses of the window."""
        return f"guess:wrong:{self.name}"

    @property
    def turn_key(self) -> str:
        """Is there while the next guess must wait."""
        return f"guess:turn:{self.name}"

    @property
    def told_key(self) -> str:
        """Is there once the owner was told."""
        return f"guess:told:{self.name}"


class Guard:
    """Keeps count of guesses over scopes."""

    def __init__(self, counters: Counters, clock: Callable[[], float] = time.time) -> None:
        self._counters = counters
        self._clock = clock

    def admit(self, scopes: Sequence[Scope]) -> int:
        """Take a guess in each scope; 0: it may be looked at, else how many seconds to wait.

        A guess that must wait takes nothing, so that knocking does not make the wait longer.
        """
        taken: list[Scope] = []
        for scope in scopes:
            wait_s = self._take(scope)
            if wait_s:
                for one in taken:
                    self.give_back(one)
                return wait_s
            taken.append(scope)
        return 0

    def give_back(self, scope: Scope) -> None:
        """Count a guess as if it had not been, since it was right; a wait that began stays."""
        self._counters.incr(scope.wrong_key, scope.ladder.window_s, amount=-1)

    def forget(self, scope: Scope) -> None:
        """Begin anew."""
        for key in (scope.wrong_key, scope.turn_key, scope.told_key):
            self._counters.clear(key)

    def is_news(self, scope: Scope) -> bool:
        """Whether the scope is locked and nobody has asked yet: then the owner is to be told."""
        if self._counters.get(scope.wrong_key) < scope.ladder.lock_count:
            return False
        return self._counters.incr(scope.told_key, scope.ladder.window_s) == 1

    def _take(self, scope: Scope) -> int:
        nth = self._counters.get(scope.wrong_key) + 1
        if still_s := self._turn(scope, nth):
            return still_s
        counted = self._counters.incr(scope.wrong_key, scope.ladder.window_s)
        # Others may have come in between and found the same count, when nobody had to wait yet.
        if scope.ladder.wait_s(nth) == 0 and (still_s := self._turn(scope, counted)):
            self.give_back(scope)
            return still_s
        return 0

    def _turn(self, scope: Scope, nth: int) -> int:
        """Take the turn of the nth guess, after which others wait, or say how long to wait for it.

        Nobody waits for the turn of a guess that is free.
        """
        wait_s = scope.ladder.wait_s(nth)
        if wait_s == 0 or self._counters.incr(scope.turn_key, wait_s) == 1:
            return 0
        return max(1, math.ceil(self._counters.get_expiry(scope.turn_key) - self._clock()))
