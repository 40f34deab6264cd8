"""Writes the decision log in the background: the event loop only ever appends to a queue."""

import asyncio
import logging
from collections import deque
from itertools import islice

from channels.db import database_sync_to_async

from apps.router.conf import CONF
from apps.router.records import services
from apps.router.records.entries import Gap, Recorded

log = logging.getLogger(__name__)


class LogWriter:
    """Keeps what waits to be written, in order; what finds no room is counted and said.

    is_shared: others may write the same; each entry stands in the log once all the same.
    """

    def __init__(self, *, is_shared: bool = False) -> None:
        self._is_shared = is_shared
        self._waiting: deque[Recorded | Gap] = deque()
        self._in_hand_count = 0
        self._has_some = asyncio.Event()
        self._writing: asyncio.Task[None] | None = None
        self._is_failing = False

    def put(self, recorded: Recorded) -> None:
        """Have an entry written soon."""
        if len(self._waiting) < CONF.log_waiting_count:
            self._waiting.append(recorded)
        else:
            self._count_lost(recorded)
        self._has_some.set()

    async def run(self) -> None:
        """Write what comes, until cancelled."""
        while True:
            await self._has_some.wait()
            await asyncio.sleep(CONF.log_retry_s if self._is_failing else CONF.log_write_every_s)
            await self._write_some()

    async def flush(self) -> None:
        """Write all that waits; give up, and say so, after a while."""
        try:
            async with asyncio.timeout(CONF.log_stop_within_s):
                while self._waiting:
                    await self._write_some()
                    if self._is_failing:
                        await asyncio.sleep(CONF.log_write_every_s)
        except TimeoutError:
            log.error("decisions were not written: %d", len(self._waiting))

    async def _write_some(self) -> None:
        """Write a batch. A thread that writes can't be stopped: who is cancelled leaves it be."""
        if self._writing is None or self._writing.done():
            if not self._waiting:
                self._has_some.clear()
                return
            self._writing = asyncio.create_task(self._write_batch())
        await asyncio.shield(self._writing)

    async def _write_batch(self) -> None:
        batch = list(islice(self._waiting, CONF.log_batch_count))
        self._in_hand_count = len(batch)
        write = database_sync_to_async(services.log_append, thread_sensitive=False)
        try:
            await write(recorded=batch, is_shared=self._is_shared)
        except Exception:  # the rim of the task: the database may be away for a while
            if not self._is_failing:
                log.exception("decisions can't be written; they are kept and tried again")
            self._is_failing = True
            return
        finally:
            self._in_hand_count = 0
        if self._is_failing:
            log.warning("decisions are written again")
        self._is_failing = False
        for _ in batch:
            self._waiting.popleft()
        if not self._waiting:
            self._has_some.clear()

    def _count_lost(self, recorded: Recorded) -> None:
        """Let one entry stand for all that found no room here."""
        last = self._waiting[-1]
        if isinstance(last, Gap) and len(self._waiting) > self._in_hand_count:
            self._waiting[-1] = Gap(last.made_at, last.count + 1)
            return
        log.error("too many decisions wait for the database; from here on some are lost")
        self._waiting.append(Gap(recorded.made_at, 1))
