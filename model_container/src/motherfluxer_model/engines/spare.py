"""A process that has imported everything an engine needs, kept for the next start."""

import logging
import time
from collections.abc import Sequence

from motherfluxer_model.core.watchdog import Patience
from motherfluxer_model.engines.process import HostProcess

logger = logging.getLogger(__name__)


class Spare:
    """Keeps one such process, or none where there is nothing to import."""

    def __init__(self, preload: Sequence[str], patience: Patience) -> None:
        self._preload = preload
        self._patience = patience
        self._process: HostProcess | None = None
        self._not_before_s = 0.0

    @property
    def pid(self) -> int:
        """Its process id; 0 where there is none."""
        return self._process.pid if self._process is not None else 0

    def take(self) -> HostProcess | None:
        """Give the process away, if there is one."""
        process = self._process
        if process is None or process.is_gone:
            return None
        self._process = None
        return process

    async def keep(self, *, idle_s: float, served_s: float) -> None:
        """Start it once the engine has a quiet moment, or has served for long; to be called often.

        One that has ended by itself, for want of memory perhaps, is not replaced at once.
        """
        patience, now_s = self._patience, time.monotonic()
        if self._process is not None and self._process.is_gone:
            await self.close()
            self._not_before_s = now_s + patience.spare_again_s
        if not self._preload or self._process is not None or now_s < self._not_before_s:
            return
        if idle_s >= patience.spare_idle_s or served_s >= patience.spare_at_last_s:
            await self._start(now_s)

    async def close(self) -> None:
        """End it."""
        process, self._process = self._process, None
        if process is not None:
            await process.kill()

    async def _start(self, now_s: float) -> None:
        self._process = HostProcess()
        try:
            await self._process.start(*self._preload)
        except OSError as error:  # the engine that serves is not to suffer by it
            logger.warning("no spare process can be started: %s", error)
            self._process, self._not_before_s = None, now_s + self._patience.spare_again_s
