"""What a gateway does with those who ask: a job whose reader has gone goes too."""

import asyncio

from apps.router.core import effects, events
from apps.router.core.effects import Effect
from apps.router.core.events import Event
from apps.router.core.settings import CoreSettings
from apps.router.live.bus import InProcessBus
from apps.router.live.gateway import Gateway
from apps.router.live.homes import NoKeeper
from apps.router.live.streams import JobRequest, JobStream
from motherfluxer_wire.frames import Message

REQUEST = JobRequest(
    messages=(Message("user", "Hello?"),),
    requester="user:1",
    service_class="registered",
    request_id="r",
)


class StuckKeeper(NoKeeper):
    """Never has anything kept, as while Redis is away."""

    async def safe(self, _stream: JobStream) -> bool:
        """Wait for ever."""
        await asyncio.Event().wait()
        return True


async def test_job_whose_reader_leaves_before_it_is_kept_is_stopped() -> None:
    bus, told = InProcessBus(), list[Event]()

    def handle(event: Event) -> list[Effect]:
        told.append(event)
        if isinstance(event, events.JobSubmitted):
            return [effects.ShowPlace(event.job_id, 1, 1, 1)]
        return []

    gateway = Gateway(bus=bus, clock=lambda: 0.0, settings=CoreSettings(), keeper=StuckKeeper())
    bus.connect(handle=handle, perform=gateway.perform)
    asked = asyncio.create_task(gateway.submit(REQUEST))
    while not told:  # noqa: ASYNC110 # no event tells it
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    asked.cancel()
    await asyncio.wait({asked})
    assert [type(event) for event in told] == [events.JobSubmitted, events.JobCancelled]
