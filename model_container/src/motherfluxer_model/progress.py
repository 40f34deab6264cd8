"""Telling how far a download or a load is: a bar on a terminal, lines in the log elsewhere.

What is over in a moment says nothing.
"""

import logging
import shutil
import sys
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self, TextIO

from motherfluxer_model.core.progress import Progress

logger = logging.getLogger(__name__)
QUIET_S: Final = 1.0
DRAW_EVERY_S: Final = 0.1
CLEAR_LINE: Final = "\r\x1b[K"


class Step:
    """One piece of work, as a context; `advance` and `reach` may be called from any thread."""

    def __init__(
        self,
        what: str,
        total: float,
        *,
        is_bytes: bool = True,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._is_terminal = self._stream.isatty()
        self._clock = clock
        self._progress = Progress(what, total, clock(), is_bytes)
        self._drawn_s: float | None = None
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        now_s = self._clock()
        if self._drawn_s is not None:
            self._write(CLEAR_LINE)
        if error is None and now_s - self._progress.started_s >= QUIET_S:
            logger.info("%s", self._progress.end_words(now_s))

    def advance(self, count: float) -> None:
        """Note that so much more is done."""
        with self._lock:
            self._progress.done += count
            self._show()

    def reach(self, done: float, total: float | None = None) -> None:
        """Note how much is done in all; never less than before."""
        with self._lock:
            self._progress.done = max(self._progress.done, done)
            self._progress.total = max(self._progress.total, total or 0.0)
            self._show()

    def _show(self) -> None:
        now_s = self._clock()
        if now_s - self._progress.started_s < QUIET_S:
            return
        if self._is_terminal:
            self._draw(now_s)
        elif (line := self._progress.take_line(now_s)) is not None:
            logger.info("%s", line)

    def _draw(self, now_s: float) -> None:
        if self._drawn_s is not None and now_s - self._drawn_s < DRAW_EVERY_S:
            return
        self._drawn_s = now_s
        width = shutil.get_terminal_size().columns - 1
        self._write(CLEAR_LINE + self._progress.bar(now_s)[:width])

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()
