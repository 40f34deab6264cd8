"""What the active router does beside answering: the log, recorded events, the catalog, the view."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, Final

from apps.router import ports
from apps.router.apart.written_view import written_view_encode, written_view_of
from apps.router.core.cluster import Cluster, Witness
from apps.router.core.effects import Effect, RecordAttemptEnd, RecordDecision
from apps.router.core.events import CatalogChanged, Event, ModelsKnown
from apps.router.core.state import KNOWN_MODELS_MOST
from apps.router.core.values import AttemptEnded, Decision
from apps.router.live.catalog_reading import catalog_event, catalog_routing
from apps.router.live.event_recorder import EventRecorder
from apps.router.live.log_writer import LogWriter
from apps.router.live.runtime import recorder_of
from apps.router.records.entries import Recorded

log = logging.getLogger(__name__)

CATALOG_CHECK_S: Final = 1.0
VIEW_AT_LEAST_S: Final = 1.0
# Each web process reads the whole view: of 2,000 instances 450 kB, which take 10 ms to write.
VIEW_REST_S_BY_INSTANCE: Final = 0.0005


class ActiveDuties:
    """Begins with the lease and ends with it. The database may be away: it is tried again."""

    def __init__(self) -> None:
        self._log = LogWriter(is_shared=True)
        self._recorder: EventRecorder | None = None
        self._catalog: CatalogChanged | None = None
        self._known_models: frozenset[str] = frozenset()
        self._tasks: list[asyncio.Task[None]] = []
        self._endings: set[asyncio.Task[None]] = set()
        self._shown: object = None
        self._shown_at_s = 0.0

    @property
    def witness(self) -> Witness | None:
        """Who records what the core is given."""
        return self._recorder

    def began(self, cluster: Cluster, last: list[Effect]) -> None:
        """Take up the duties."""
        self._log = LogWriter(is_shared=True)
        for effect in last:
            self.keep(effect)
        self._recorder = recorder_of(cluster.state)
        self._catalog, self._known_models, self._shown = None, frozenset(), None
        works: list[Coroutine[Any, Any, None]] = [
            self._log.run(),
            self._read_database(),
        ]
        if self._recorder:
            works.append(self._recorder.run())
        self._tasks = [asyncio.create_task(work) for work in works]

    def ended(self) -> None:
        """Lay them down, and write what still waits."""
        for task in self._tasks:
            task.cancel()
        self._tasks = []
        ending = asyncio.create_task(self._flush(self._log, self._recorder))
        self._endings.add(ending)
        self._recorder = None

    async def finish(self) -> None:
        """Wait until all is written."""
        await asyncio.gather(*self._endings, return_exceptions=True)

    def keep(self, effect: Effect) -> None:
        """Keep a decision or an attempt's end."""
        if (what := _recorded(effect)) is not None:
            self._log.put(Recorded.by_its_clock(what))

    def news(self, cluster: Cluster) -> list[Event]:
        """Return what the core has yet to hear of models and the catalog."""
        found: list[Event] = []
        known = cluster.state.known_models
        if len(known) < KNOWN_MODELS_MOST and (unknown := self._known_models - known):
            found.append(ModelsKnown(tuple(sorted(unknown))))
        if self._catalog is not None and not _is_heard(self._catalog, cluster):
            found.append(self._catalog)
        return found

    def view(self, cluster: Cluster) -> tuple[bytes, str] | None:
        """Return what web processes are to see, when that has changed or is old.

        A large fleet's is rarer.
        """
        rest_s = min(VIEW_AT_LEAST_S, len(cluster.state.instances) * VIEW_REST_S_BY_INSTANCE)
        if self._shown is not None and 0 <= cluster.now_s - self._shown_at_s < rest_s:
            return None
        shown = (
            tuple((one.session, one.record.health) for one in cluster.state.instances.values()),
            tuple((job.job_id, job.state) for job in cluster.state.jobs.values()),
            tuple((one, place.is_leaving) for one, place in cluster.gateways.items()),
        )
        is_old = cluster.now_s - self._shown_at_s >= VIEW_AT_LEAST_S
        if shown == self._shown and not is_old:
            return None
        self._shown, self._shown_at_s = shown, cluster.now_s
        version = f"{cluster.token}-{cluster.now_s:.3f}"
        return written_view_encode(written_view_of(cluster)), version

    async def _read_database(self) -> None:
        """Read what instances have announced before, and the catalog again and again."""
        is_failing = False
        is_gate_read = False
        while True:
            try:
                gate = ports.instance_gate.get_or_none()
                if gate and not is_gate_read:
                    self._known_models = await gate.known_models()
                is_gate_read = True
                self._catalog = catalog_event(await catalog_routing())
                is_failing = False
            except Exception:  # the rim of the task: the database may be away
                if not is_failing:
                    log.exception("the catalog could not be read; it is tried again")
                is_failing = True
            await asyncio.sleep(CATALOG_CHECK_S)

    @staticmethod
    async def _flush(writer: LogWriter, recorder: EventRecorder | None) -> None:
        await writer.flush()
        if recorder:
            await recorder.flush()


def _recorded(effect: Effect) -> Decision | AttemptEnded | None:
    if isinstance(effect, RecordDecision):
        return effect.decision
    return effect.ended if isinstance(effect, RecordAttemptEnd) else None


def _is_heard(said: CatalogChanged, cluster: Cluster) -> bool:
    state = cluster.state
    is_same = set(said.forbidden) == state.forbidden_models
    return is_same and {alias.name: alias for alias in said.aliases} == state.aliases
