"""Records every event that the core is given, so that each decision can be made once more.

The core is given pseudonyms for those who ask, so the files hold exactly what it was given.
"""

import asyncio
import logging
import secrets
from collections.abc import Iterable
from datetime import UTC, datetime

import msgspec

from apps.router.conf import CONF
from apps.router.core.effects import Effect
from apps.router.core.events import Event, JobSubmitted
from apps.router.core.pseudonyms import pseudonym
from apps.router.core.selection.rules import rule_named
from apps.router.core.state import RouterState, state_encode
from apps.router.records.event_files import EventFiles
from apps.router.records.segments import (
    FORMAT,
    Header,
    Line,
    effect_lines,
    event_line,
    is_known_model,
)

log = logging.getLogger(__name__)


class EventRecorder:
    """Holds what is not yet written; a task writes it now and then, in a thread.

    The salt for names of models that do not exist lives in memory alone.
    """

    def __init__(self, files: EventFiles, state: RouterState) -> None:
        self._files = files
        self._state = state
        self._salt = secrets.token_bytes(32)
        self._run = secrets.token_hex(4)
        self._number = 0
        self._begun_at: float | None = None
        self._waiting: list[Header | Line] = []
        self._writing: asyncio.Task[None] | None = None
        self._is_failing = False

    def before(self, event: Event, at: float) -> None:
        """Record an event that the core has yet to be given."""
        if self._is_segment_over(at):
            self._begin_segment(at)
        if self._begun_at is not None:
            self._waiting.append(event_line(self._without_words(event), at))

    def after(self, effects: Iterable[Effect]) -> None:
        """Record what followed."""
        if self._begun_at is not None:
            self._waiting += effect_lines(effects)

    async def run(self) -> None:
        """Write what comes, until cancelled."""
        while True:
            await asyncio.sleep(CONF.events_write_every_s)
            await self.flush()

    async def flush(self) -> None:
        """Write all that waits. Who is cancelled leaves the thread that writes be."""
        if self._writing is not None and not self._writing.done():
            await asyncio.shield(self._writing)
        if self._waiting:
            self._writing = asyncio.create_task(self._write())
            await asyncio.shield(self._writing)

    async def _write(self) -> None:
        items, self._waiting = self._waiting, []
        try:
            await asyncio.to_thread(self._files.write, items)
        except Exception:  # the rim of the task: a full disk must not stop the router
            if not self._is_failing:
                log.exception("events can't be recorded; a new file begins when they can")
            self._is_failing = True
            self._waiting.clear()
            self._begun_at = None
            return
        if self._is_failing:
            log.warning("events are recorded again")
        self._is_failing = False

    def _is_segment_over(self, at: float) -> bool:
        if self._begun_at is None:
            return not self._waiting
        if len(self._waiting) >= CONF.events_waiting_count:
            log.error("the disk does not keep up: events are not recorded for a while")
            self._begun_at = None
            return False
        return (
            at - self._begun_at >= CONF.events_segment_s
            or self._files.segment_bytes >= CONF.events_segment_bytes
        )

    def _begin_segment(self, at: float) -> None:
        settings = self._state.settings
        self._waiting.append(
            Header(
                format=FORMAT,
                run=self._run,
                number=self._number,
                begun_at=datetime.now(UTC),
                at=at,
                rule=rule_named(settings.rule).name,
                seed=settings.seed,
                settings=settings,
                snapshot=msgspec.Raw(state_encode(self._state)),
            )
        )
        self._number += 1
        self._begun_at = at
        self._files.segment_bytes = 0

    def _without_words(self, event: Event) -> Event:
        """Leave out a model's name that is nothing but what somebody typed: it is refused."""
        if isinstance(event, JobSubmitted) and not is_known_model(event.model_name, self._state):
            unknown = f"unknown-{pseudonym(event.model_name or '', self._salt)}"
            return msgspec.structs.replace(event, model_name=unknown)
        return event
