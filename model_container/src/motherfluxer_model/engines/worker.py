"""The engine's one thread: loads the model, then steps the running answers in turn.

Answers join and leave between two tokens. A newcomer is stepped before the others, for its first
token is what somebody waits for.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable

import torch

from motherfluxer_model.engines.port import ENGINE_THREAD
from motherfluxer_model.engines.sequence import Runner, Sequence

logger = logging.getLogger(__name__)


class Worker:
    """Owns the thread that touches the model."""

    def __init__(self, load: Callable[[], Runner]) -> None:
        self._load = load
        self._newcomers: deque[Sequence] = deque()
        self._running: deque[Sequence] = deque()
        self._wake = threading.Condition()
        self._is_closed = False
        self._thread: threading.Thread | None = None

    def start(self, when_loaded: Callable[[BaseException | None], None]) -> None:
        """Start the thread; `when_loaded` is called in it, with the error if there was one."""
        self._thread = threading.Thread(
            target=self._run, args=(when_loaded,), name=ENGINE_THREAD, daemon=True
        )
        self._thread.start()

    def submit(self, sequence: Sequence) -> None:
        """Let an answer join."""
        with self._wake:
            self._newcomers.append(sequence)
            self._wake.notify()

    def close(self, wait_s: float) -> None:
        """End the thread after its present step; wait for that no longer than `wait_s`."""
        with self._wake:
            self._is_closed = True
            self._wake.notify()
        if self._thread is not None:
            self._thread.join(wait_s)

    def _run(self, when_loaded: Callable[[BaseException | None], None]) -> None:
        try:
            runner = self._load()
        except BaseException as error:  # noqa: BLE001  the rim of the thread: the loop raises it
            when_loaded(error)
            return
        when_loaded(None)
        with torch.inference_mode():
            while (sequence := self._next()) is not None:
                self._step(runner, sequence)

    def _next(self) -> Sequence | None:
        with self._wake:
            while not (self._newcomers or self._running or self._is_closed):
                self._wake.wait()
            if self._is_closed:
                return None
            return (self._newcomers or self._running).popleft()

    def _step(self, runner: Runner, sequence: Sequence) -> None:
        try:
            sequence.step(runner)
        except Exception as error:  # the rim of one answer: its siblings go on
            logger.exception("job %s broke in the engine", sequence.ticket.job)
            sequence.deliver(error)
            return
        if not sequence.is_ended:
            self._running.append(sequence)
