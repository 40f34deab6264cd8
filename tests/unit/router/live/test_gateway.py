"""What a gateway does with those who ask, while they wait for the first word and after."""

import asyncio

import pytest

from apps.router.core import effects, events
from apps.router.core.effects import Effect
from apps.router.core.events import Event
from apps.router.core.settings import CoreSettings
from apps.router.errors import JobRefusedError
from apps.router.live.bus import InProcessBus
from apps.router.live.gateway import Gateway
from apps.router.live.homes import NoKeeper
from apps.router.live.streams import Ended, JobRequest, JobStream
from motherfluxer_wire.frames import Chunk, Message

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


async def test_job_that_is_not_kept_in_time_is_refused_and_stopped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("apps.router.live.gateway.TAKEN_WITHIN_S", 0.01)
    bus, told = InProcessBus(), list[Event]()

    def handle(event: Event) -> list[Effect]:
        told.append(event)
        if isinstance(event, events.JobSubmitted):
            return [effects.AssignJob(event.job_id, 1, "s", "tiny", instance_name="one")]
        return []

    gateway = Gateway(bus=bus, clock=lambda: 0.0, settings=CoreSettings(), keeper=StuckKeeper())
    bus.connect(handle=handle, perform=gateway.perform)
    with pytest.raises(JobRefusedError, match="Try again"):
        await gateway.submit(REQUEST)
    assert [type(event) for event in told] == [events.JobSubmitted, events.JobCancelled]
    assert gateway.streams == {}


async def test_job_that_moves_before_the_first_word_is_waited_for_elsewhere() -> None:
    bus, told = InProcessBus(), list[Event]()

    def handle(event: Event) -> list[Effect]:
        told.append(event)
        return []

    gateway = Gateway(bus=bus, clock=lambda: 0.0, settings=CoreSettings())
    bus.connect(handle=handle, perform=gateway.perform)
    asked = asyncio.create_task(gateway.submit(REQUEST))
    while not told:  # noqa: ASYNC110 # no event tells it
        await asyncio.sleep(0)
    [stream] = gateway.streams.values()
    gateway.homes.hand_over(stream, lambda: None)
    assert (await asked).is_moved
    assert [type(event) for event in told] == [events.JobSubmitted]


def gateway_with_a_begun_answer() -> tuple[Gateway, JobStream, list[Event]]:
    """Make a gateway and a stream whose third attempt has given a word; and what is told."""
    bus, told = InProcessBus(), list[Event]()
    gateway = Gateway(bus=bus, clock=lambda: 0.0, settings=CoreSettings())

    def handle(event: Event) -> list[Effect]:
        told.append(event)
        return []

    bus.connect(handle=handle, perform=gateway.perform)
    stream = gateway.homes.open("j", REQUEST)
    assigned = effects.AssignJob("j", 3, "s", "tiny", instance_name="one", fingerprint="f")
    gateway.perform(assigned)
    gateway.homes.chunk_came("s", Chunk("j", 3, 0, "one ", 1))
    told.clear()
    return gateway, stream, told


async def test_router_that_knows_nothing_hears_how_far_an_answer_is() -> None:
    gateway, stream, told = gateway_with_a_begun_answer()
    gateway.tell_anew(stream)
    [event] = told
    assert isinstance(event, events.JobSubmitted)
    assert (event.job_id, event.last_attempt, event.has_text) == ("j", 3, True)
    assert event.model_name == "tiny"
    assert not gateway.homes.chunk_came("s", Chunk("j", 3, 1, "two ", 1)), "the link's no more"
    assert stream.text == "one "


async def test_router_that_knows_nothing_hears_of_no_answer_that_ended_or_went() -> None:
    gateway, stream, told = gateway_with_a_begun_answer()
    stream.end(Ended("stop"), at=0.0)
    gateway.tell_anew(stream)
    gateway, stream, told_of_moved = gateway_with_a_begun_answer()
    stream.move_away()
    gateway.tell_anew(stream)
    assert not told
    assert not told_of_moved
