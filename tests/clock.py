"""A clock for counters of limits that stands still unless it is told."""

import time
from types import SimpleNamespace

import limits.storage.memory
import pytest


class Clock:
    """Stands at the moment when it was made."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


def stand_still(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Let counters in memory go by a clock that the test moves."""
    clock = Clock()
    monkeypatch.setattr(limits.storage.memory, "time", SimpleNamespace(time=clock))
    return clock
