"""The live router of this process, and which one it is: whole, or a gateway to one apart."""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Coroutine
from typing import Any, Final

from django.conf import settings

from apps.router import ports
from apps.router.core import events
from apps.router.core.state import RouterState
from apps.router.errors import ErrorCode, JobError
from apps.router.live.bus import InProcessBus
from apps.router.live.catalog_reading import CATALOG_CHECK_S, CatalogReader
from apps.router.live.event_recorder import EventRecorder
from apps.router.live.gateway import Gateway
from apps.router.live.gateway_process import GatewayProcess
from apps.router.live.log_writer import LogWriter
from apps.router.live.repeating import repeat
from apps.router.live.service import RouterService
from apps.router.live.streams import Ended
from apps.router.records.event_files import EventFiles
from apps.router.router_view import RouterView, view_of

log = logging.getLogger(__name__)

TICK_S: Final = 0.25


class LiveRouterNotRunningError(RuntimeError):
    """The live router was asked for in a process or thread where it does not run."""


class LiveRouter(GatewayProcess):
    """The core's service, the gateway and the bus between them, in one event loop."""

    def __init__(self) -> None:
        self.bus = InProcessBus()
        state = RouterState()
        self.recorder = recorder_of(state)
        self.service = RouterService(clock=time.monotonic, state=state, recorder=self.recorder)
        super().__init__(Gateway(bus=self.bus, clock=time.monotonic, settings=state.settings))
        self.bus.connect(handle=self.service.handle, perform=self.gateway.perform)
        self.started_at = time.time()
        self._catalog = CatalogReader(self.bus.publish)

    async def start(self) -> None:
        """Begin to keep time, and learn which models were served before."""
        if gate := ports.instance_gate.get_or_none():
            self.bus.publish(events.ModelsKnown(tuple(await gate.known_models())))
        await self._catalog.read()
        await super().start()

    async def stop(self) -> None:
        """End every link and task."""
        await super().stop()
        for writer in self._writers():
            await writer.flush()

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

    def view(self) -> RouterView:
        """Return what the router sees."""
        streams = self.gateway.streams
        return view_of(
            self.service.state,
            self.service.clock(),
            details={one: self.detail(link) for one, link in self.gateway.links.items()},
            submitted_at={job_id: stream.submitted_at for job_id, stream in streams.items()},
            started_at=int(self.started_at),
        )

    def works(self) -> list[Coroutine[Any, Any, None]]:
        """List what goes on until the stop."""
        return [
            *super().works(),
            repeat(self._tick, TICK_S, "a tick failed"),
            repeat(self._catalog.read, CATALOG_CHECK_S, "the catalog could not be read"),
            *(writer.run() for writer in self._writers()),
        ]

    def _writers(self) -> list[LogWriter | EventRecorder]:
        """List those that write in the background."""
        log_writer = self.gateway.decisions.writer
        return [log_writer, self.recorder] if self.recorder else [log_writer]

    async def _tick(self) -> None:
        self.bus.publish(events.TimePassed())
        self.gateway.tick()


def recorder_of(state: RouterState) -> EventRecorder | None:
    """Return what records a core's events, if the settings want them kept."""
    if not settings.EVENTS_KEPT_HOURS:
        return None
    files = EventFiles(settings.VAR_DIR / "events", kept_h=settings.EVENTS_KEPT_HOURS)
    return EventRecorder(files, state)


_running: GatewayProcess | None = None


def live_gateway() -> GatewayProcess:
    """Return what runs of the router in this process. Raises LiveRouterNotRunningError."""
    if _running is None:
        raise LiveRouterNotRunningError
    return _running


def live_router() -> LiveRouter:
    """Return the whole router that runs in this process. Raises LiveRouterNotRunningError."""
    if not isinstance(_running, LiveRouter):
        raise LiveRouterNotRunningError
    return _running


@contextlib.asynccontextmanager
async def running(process: GatewayProcess) -> AsyncIterator[None]:
    """Run a process' part of the router in this event loop."""
    global _running  # one a process, by design
    await process.start()
    _running = process
    try:
        yield
    finally:
        _running = None
        await process.stop()


@contextlib.asynccontextmanager
async def running_router() -> AsyncIterator[LiveRouter]:
    """Run the whole live router in this event loop."""
    router = LiveRouter()
    async with running(router):
        yield router
