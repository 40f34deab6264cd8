"""The live router of this process: its parts, its clock tick, and its beginning and end."""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any, Final

from django.conf import settings

from apps.router import ports
from apps.router.core import events
from apps.router.core.state import RouterState
from apps.router.errors import ErrorCode, JobError
from apps.router.live.bus import InProcessBus
from apps.router.live.catalog_reading import catalog_event, catalog_routing
from apps.router.live.event_recorder import EventRecorder
from apps.router.live.gateway import Gateway
from apps.router.live.links import InstanceLink
from apps.router.live.log_writer import LogWriter
from apps.router.live.service import RouterService
from apps.router.live.streams import Ended
from apps.router.records.event_files import EventFiles
from motherfluxer_wire import limits
from motherfluxer_wire.frames import Hello

log = logging.getLogger(__name__)

TICK_S: Final = 0.25
CREDENTIAL_CHECK_S: Final = 0.4
CATALOG_CHECK_S: Final = 1.0
USAGE_WRITE_S: Final = 1.0


class LiveRouterNotRunningError(RuntimeError):
    """The live router was asked for in a process or thread where it does not run."""


class LiveRouter:
    """The core's service, the gateway and the bus between them, in one event loop."""

    def __init__(self) -> None:
        self.bus = InProcessBus()
        state = RouterState()
        self.recorder = recorder_of(state)
        self.service = RouterService(clock=time.monotonic, state=state, recorder=self.recorder)
        self.gateway = Gateway(
            bus=self.bus, clock=time.monotonic, settings=self.service.state.settings
        )
        self.bus.connect(handle=self.service.handle, perform=self.gateway.perform)
        self.started_at = time.time()
        self._catalog = ports.CatalogRouting()
        self._records: asyncio.Queue[Coroutine[Any, Any, None]] = asyncio.Queue()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Begin to keep time, and learn which models were served before."""
        if gate := ports.instance_gate.get_or_none():
            self.bus.publish(events.ModelsKnown(tuple(await gate.known_models())))
        await self._read_catalog()
        jobs = [
            _repeat(self._tick, TICK_S, "a tick failed"),
            _repeat(
                self._cut_ended_credentials, CREDENTIAL_CHECK_S, "credentials could not be checked"
            ),
            _repeat(self._read_catalog, CATALOG_CHECK_S, "the catalog could not be read"),
            _repeat(_write_usage, USAGE_WRITE_S, "what keys used could not be written yet"),
            self._keep_records(),
        ]
        jobs += [writer.run() for writer in self._writers()]
        self._tasks += [asyncio.create_task(job) for job in jobs]

    async def stop(self) -> None:
        """End every link and task."""
        for link in list(self.gateway.links.values()):
            link.close(limits.CLOSE_RESTARTING, "the server restarts")
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        while not self._records.empty():
            await self._records.get_nowait()
        for writer in self._writers():
            await writer.flush()
        try:
            await _write_usage()
        except Exception:  # the rim: the database may be away, and the process ends all the same
            log.exception("what keys used in the last second was not written")

    async def drain(self, timeout_s: float) -> None:
        """Take no new jobs and wait for the running ones; refuse those that still wait."""
        self.gateway.is_draining = True
        words = "The site is restarting. Ask again in a moment."
        error = JobError(ErrorCode.SHUTTING_DOWN, words, retry_after_s=5)
        for job_id in list(self.service.state.queue.entries):
            self.gateway.streams[job_id].end(Ended(None, error), at=time.monotonic())
            self.gateway.cancel(job_id, "restart")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                for stream in list(self.gateway.streams.values()):
                    await stream.wait_ended()

    def join(self, link: InstanceLink, hello: Hello) -> None:
        """Take an instance in and have it recorded. Raises WireError."""
        self.gateway.link_opened(link, hello)
        if gate := ports.instance_gate.get_or_none():
            self._records.put_nowait(gate.instance_joined(link.admission, hello))

    def leave(self, link: InstanceLink) -> None:
        """Forget a link that has ended and have it recorded."""
        self.gateway.link_closed(link)
        gate = ports.instance_gate.get_or_none()
        if gate and link.name and not self._is_connected(link.instance_id):
            self._records.put_nowait(gate.instance_left(link.admission, link.name))

    def _writers(self) -> list[LogWriter | EventRecorder]:
        """List those that write in the background."""
        log_writer = self.gateway.decisions.writer
        return [log_writer, self.recorder] if self.recorder else [log_writer]

    def _is_connected(self, instance_id: str) -> bool:
        return any(link.instance_id == instance_id for link in self.gateway.links.values())

    async def _tick(self) -> None:
        self.bus.publish(events.TimePassed())
        self.gateway.tick()

    async def _read_catalog(self) -> None:
        """Tell the core what the catalog says, if that has changed."""
        routing = await catalog_routing()
        if routing == self._catalog:
            return
        self._catalog = routing
        self.bus.publish(catalog_event(routing))

    async def _cut_ended_credentials(self) -> None:
        gate = ports.instance_gate.get_or_none()
        links = list(self.gateway.links.values())
        if not gate or not links:
            return
        ended = await gate.ended_credentials(
            frozenset(link.admission.credential_id for link in links)
        )
        for link in links:
            if link.admission.credential_id in ended:
                link.close(limits.CLOSE_CREDENTIAL_ENDED, "the credential was revoked or expired")
                self.leave(link)

    async def _keep_records(self) -> None:
        while True:
            record = await self._records.get()
            try:
                await record
            except Exception:  # the rim of the task: a record lost is no reason to stop serving
                log.exception("an instance could not be recorded")


async def _write_usage() -> None:
    if gate := ports.caller_gate.get_or_none():
        await gate.flush()


def recorder_of(state: RouterState) -> EventRecorder | None:
    """Return what records a state's events, where they are kept at all."""
    if not settings.EVENTS_KEPT_HOURS:
        return None
    files = EventFiles(settings.VAR_DIR / "events", kept_h=settings.EVENTS_KEPT_HOURS)
    return EventRecorder(files, state)


async def _repeat(act: Callable[[], Awaitable[None]], every_s: float, trouble: str) -> None:
    """Do something again and again, whatever goes wrong with it."""
    while True:
        await asyncio.sleep(every_s)
        try:
            await act()
        except Exception:  # the rim of the task: a bug must not stop the clock, nor a database away
            log.exception(trouble)


_running: LiveRouter | None = None


def live_router() -> LiveRouter:
    """Return the running router. Raises LiveRouterNotRunningError."""
    if _running is None:
        raise LiveRouterNotRunningError
    return _running


@contextlib.asynccontextmanager
async def running_router() -> AsyncIterator[LiveRouter]:
    """Run the live router in this event loop."""
    global _running  # one live router a process, by design
    router = LiveRouter()
    await router.start()
    _running = router
    try:
        yield router
    finally:
        _running = None
        await router.stop()
