"""The bus between gateways and the router: events one way, effects the other."""

from collections import deque
from collections.abc import Callable
from typing import Protocol

from apps.router.core.effects import Effect
from apps.router.core.events import Event


class Bus(Protocol):
    """Carries events to the router in order, and its effects to the gateways."""

    def publish(self, event: Event) -> None:
        """Hand an event to the router."""
        ...


class InProcessBus:
    """Both ends in one event loop: an event's effects are done before `publish` returns.

    What is published while effects are being done waits until they are, so that the router sees
    one event at a time.
    """

    def __init__(self) -> None:
        self._handle: Callable[[Event], list[Effect]] | None = None
        self._perform: Callable[[Effect], None] | None = None
        self._waiting: deque[Event] = deque()
        self._is_busy = False

    def connect(
        self, *, handle: Callable[[Event], list[Effect]], perform: Callable[[Effect], None]
    ) -> None:
        """Name the router's and the gateway's ends."""
        self._handle, self._perform = handle, perform

    def publish(self, event: Event) -> None:
        """Hand an event to the router, and its effects to the gateway."""
        self._waiting.append(event)
        if self._is_busy or self._handle is None or self._perform is None:
            return
        self._is_busy = True
        try:
            while self._waiting:
                for effect in self._handle(self._waiting.popleft()):
                    self._perform(effect)
        finally:
            self._is_busy = False
