"""Which ends of attempts the router hears of, however often an instance says them."""

from typing import Literal

from apps.router.core import events, letters
from apps.router.core.effects import Effect
from apps.router.core.events import Event
from apps.router.core.settings import CoreSettings
from apps.router.core.state import RouterState
from apps.router.core.step import step
from apps.router.live.bus import InProcessBus
from apps.router.live.gateway import Gateway
from apps.router.live.links import CloseRequest, InstanceLink
from apps.router.live.streams import JobRequest
from apps.router.ports import Admission
from motherfluxer_wire.codec import decode_from_router
from motherfluxer_wire.frames import (
    Ack,
    Batch,
    Done,
    Draining,
    Failed,
    Frame,
    Hello,
    Job,
    Message,
    Model,
    ResumeOffer,
    Usage,
)
from tests.unit.router.live.test_homes import SlowKeeper

LINK = "b.1"
TINY = Model("tiny", 1024, 512, capabilities=["chat", "continue"])
REQUEST = JobRequest(
    messages=(Message("user", "Hello?"),),
    requester="user:1",
    service_class="registered",
    request_id="r",
)
ENDS = events.AttemptDone | events.AttemptFailed


class Rig:
    """One instance at the real gateway of a real router."""

    def __init__(self) -> None:
        self.told: list[Event] = []
        self.sent: list[tuple[str, letters.Between]] = []
        self.state = RouterState()
        self.keeper = SlowKeeper()
        bus = InProcessBus()
        self.gateway = Gateway(
            bus=bus,
            clock=lambda: 0.0,
            settings=CoreSettings(),
            own_id="b",
            courier=lambda gateway_id, letter: self.sent.append((gateway_id, letter)),
            keeper=self.keeper,
        )
        bus.connect(handle=self._handle, perform=self.gateway.perform)
        self.link = self.join(LINK)

    def _handle(self, event: Event) -> list[Effect]:
        self.told.append(event)
        return step(self.state, event, 0.0)

    def join(self, session: str, *offers: ResumeOffer) -> InstanceLink:
        """Connect the instance."""
        admission = Admission(credential_id="c", credential_name="c", operator_email="o@e.org")
        link = InstanceLink(session=session, admission=admission)
        hello = Hello("test/1", "one", [TINY], 1, resume=list(offers))
        self.gateway.link_opened(link, hello)
        return link

    async def job(self) -> Job:
        """Hand a job in; the instance gets it."""
        await self.gateway.submit(REQUEST)
        [job] = [frame for frame in self.heard() if isinstance(frame, Job)]
        return job

    def heard(self) -> list[Frame]:
        """Return what the instance was sent since."""
        found = list[Frame]()
        while not self.link.outbox.empty():
            item = self.link.outbox.get_nowait()
            assert not isinstance(item, CloseRequest), item
            found.append(decode_from_router(item))
        return found

    def say(self, frame: Batch | Done | Failed | Draining) -> None:
        """Let the instance say something."""
        self.gateway.frame_received(frame, self.link)

    @property
    def ends(self) -> list[Event]:
        """The ends that the router heard of."""
        return [event for event in self.told if isinstance(event, ENDS)]

    @property
    def open_jobs(self) -> dict[str, int]:
        """The jobs whose slots are taken."""
        return self.state.instances[self.link.session].open_jobs


def done(job_id: str, reason: Literal["stop", "cancelled"] = "stop") -> Done:
    return Done(job_id, 1, 0, reason, Usage(0, 0))


async def test_ends_of_jobs_that_nobody_gave_are_acknowledged_and_told_nobody() -> None:
    rig = Rig()
    rig.heard()
    told = len(rig.told)
    failures = [Failed(f"f{n}", 1, 0, "engine_error", "", True) for n in range(500)]
    rig.say(Batch([*(done(f"d{n}") for n in range(500)), *failures]))
    assert len(rig.told) == told
    assert [type(frame) for frame in rig.heard()] == [Ack] * 1000


async def test_an_end_that_is_said_again_and_again_is_told_once() -> None:
    rig = Rig()
    job = await rig.job()
    rig.say(Batch([done(job.job)] * 1000))
    rig.keeper.keep()
    rig.say(Batch([done(job.job)] * 1000))
    rig.keeper.keep()
    assert len(rig.ends) == 1
    assert not rig.open_jobs
    assert rig.gateway.streams[job.job].ended


async def test_a_late_end_after_a_cancel_gives_the_slot_back() -> None:
    rig = Rig()
    job = await rig.job()
    rig.gateway.cancel(job.job, "the reader left")
    rig.gateway.streams.clear()  # long after
    assert rig.open_jobs == {job.job: 1}
    rig.say(done(job.job, reason="cancelled"))
    assert not rig.open_jobs
    assert [type(frame) for frame in rig.heard()][-1] is Ack


async def test_an_end_of_an_attempt_that_was_taken_back_gives_the_slot_back() -> None:
    rig = Rig()
    job = await rig.job()
    rig.gateway.bus.publish(events.AttemptLost(LINK, job.job, 1))
    assert rig.open_jobs == {job.job: 1}
    rig.say(done(job.job, reason="cancelled"))
    rig.keeper.keep()
    assert rig.open_jobs == {job.job: 2}, "it has the job again"


async def test_an_end_over_a_new_link_ends_the_job() -> None:
    rig = Rig()
    job = await rig.job()
    rig.gateway.link_closed(rig.link)
    rig.link = rig.join("b.2", ResumeOffer(job.job, 1, 0, "done"))
    rig.say(done(job.job))
    rig.keeper.keep()
    assert rig.gateway.streams[job.job].ended


async def test_a_job_that_was_lost_on_its_way_gives_its_slot_back_when_it_is_cancelled() -> None:
    rig = Rig()
    rig.gateway.received(letters.CancelToLink(LINK, "j1", 1, "lost"), "a")
    rig.say(done("j1", reason="cancelled"))
    assert rig.sent == [("a", letters.FromLink(LINK, done("j1", reason="cancelled")))]


async def test_an_end_that_goes_to_a_home_elsewhere_goes_there_once() -> None:
    rig = Rig()
    rig.gateway.received(letters.JobToLink(LINK, "j1", 1, "{}"), "a")
    rig.say(Batch([done("j1")] * 1000))
    assert rig.sent == [("a", letters.FromLink(LINK, done("j1")))]
    rig.gateway.received(letters.HomeMoved(LINK, "j1", 1, 0), "c")
    assert rig.sent[1:] == [("c", letters.FromLink(LINK, done("j1")))]


async def test_an_instance_that_drains_without_end_is_told_of_once() -> None:
    rig = Rig()
    for _ in range(1000):
        rig.say(Draining())
    assert sum(isinstance(event, events.InstanceDraining) for event in rig.told) == 1
