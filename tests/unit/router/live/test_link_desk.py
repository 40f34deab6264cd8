"""What a desk with an instance's link says to the homes of its jobs, and keeps for them."""

import contextlib

from apps.router.core import effects, events, letters
from apps.router.core.events import Event
from apps.router.core.settings import CoreSettings
from apps.router.core.values import Offer
from apps.router.errors import TooMuchSaidError
from apps.router.live.bus import InProcessBus
from apps.router.live.credential_limits import CHANGES_MOST, SAID_MOST
from apps.router.live.gateway import Gateway
from apps.router.live.link_desk import RESUME_ANSWERED_WITHIN_S, LinkDesk
from apps.router.live.links import InstanceLink
from apps.router.ports import Admission
from motherfluxer_wire.codec import decode_from_router
from motherfluxer_wire.frames import (
    Chunk,
    Heartbeat,
    Hello,
    Model,
    ModelsChanged,
    ResumeOffer,
    Welcome,
)

LINK = "b.1"
TINY = Model("tiny", 1024, 512, capabilities=["chat", "continue"])


class Rig:
    """One desk with one link, whose instance offers to go on with a job."""

    def __init__(self) -> None:
        self.now = 0.0
        self.told: list[Event] = []
        self.sent: list[tuple[str, letters.Between]] = []
        self.desk = LinkDesk(
            own_id="b",
            clock=lambda: self.now,
            settings=CoreSettings(),
            publish=self.told.append,
            to_home=lambda letter, home: self.sent.append((home, letter)),
        )
        admission = Admission(credential_id="c", credential_name="c", operator_email="o@e.org")
        self.link = InstanceLink(session=LINK, admission=admission)
        offer = ResumeOffer("j1", 1, 5, "running")
        hello = Hello("test/1", "one", [TINY], 4, resume=[offer])
        self.desk.open(self.link, hello, [offer])

    def welcome(self) -> Welcome | None:
        """Return the welcome if it was sent."""
        if self.link.outbox.empty():
            return None
        text = self.link.outbox.get_nowait()
        assert isinstance(text, str)
        frame = decode_from_router(text)
        assert isinstance(frame, Welcome)
        return frame

    def join(self) -> None:
        """Let the router say that the job may go on; its home is "a"."""
        resumed = (Offer("j1", 1),)
        self.desk.perform(effects.WelcomeInstance(LINK, resumed, (), homes=("a",)))

    def chunk(self, seq: int) -> None:
        """Let a piece of the job come."""
        chunk = Chunk("j1", 1, seq, "x", 1)
        carried = self.desk.carried(self.link, chunk)
        assert carried is not None
        self.desk.send_home(self.link, carried, chunk)

    def announce(self, *models: Model, slots: int = 4) -> None:
        """Let the instance say what it serves."""
        self.desk.changed(self.link, ModelsChanged(list(models), slots))

    @property
    def changes(self) -> list[events.InstanceChanged]:
        """The changes that the router heard of."""
        return [event for event in self.told if isinstance(event, events.InstanceChanged)]

    def connect_anew(self, name: str, *offers: ResumeOffer) -> None:
        """Let the instance come back under another name."""
        self.desk.close(self.link)
        self.link = InstanceLink(session=f"b.{name}", admission=self.link.admission)
        self.desk.open(self.link, Hello("test/1", name, [TINY], 4), list(offers))


def resumed(rig: Rig) -> list[tuple[str, int]]:
    welcome = rig.welcome()
    assert welcome is not None
    return [(one.job, one.from_seq) for one in welcome.resume]


async def test_a_job_goes_on_over_a_new_link_from_where_its_home_says() -> None:
    rig = Rig()
    rig.join()
    assert rig.sent == [("a", letters.ResumeAsked(LINK, "j1", 1, 5))]
    assert rig.welcome() is None
    rig.desk.resume_answered(letters.ResumeAnswered(LINK, "j1", 1, 3), "a")
    assert resumed(rig) == [("j1", 3)]


async def test_a_home_that_does_not_answer_costs_the_attempt_and_not_the_link() -> None:
    rig = Rig()
    rig.join()
    rig.now += RESUME_ANSWERED_WITHIN_S + 1
    rig.desk.tick()
    welcome = rig.welcome()
    assert welcome is not None
    assert welcome.drop == ["j1"]
    assert rig.told[-1] == events.AttemptLost(LINK, "j1", 1)


async def test_a_new_home_that_tells_of_itself_counts_as_the_answer() -> None:
    rig = Rig()
    rig.join()
    rig.desk.home_moved("c", letters.HomeMoved(LINK, "j1", 1, 4))
    assert resumed(rig) == [("j1", 4)]
    rig.chunk(4)
    assert rig.sent[-1] == ("c", letters.FromLink(LINK, Chunk("j1", 1, 4, "x", 1)))


async def test_a_new_home_gets_again_what_was_not_kept() -> None:
    rig = Rig()
    rig.join()
    rig.desk.resume_answered(letters.ResumeAnswered(LINK, "j1", 1, 0), "a")
    for seq in range(6):
        rig.chunk(seq)
    rig.desk.ack_came(letters.AckToLink(LINK, "j1", 1, 2))
    rig.sent.clear()
    rig.desk.home_moved("c", letters.HomeMoved(LINK, "j1", 1, 3))
    again = [(home, one.frame.seq) for home, one in rig.sent if isinstance(one, letters.FromLink)]
    assert again == [("c", 3), ("c", 4), ("c", 5)]


async def test_a_new_home_hears_of_an_attempt_that_the_link_never_got() -> None:
    rig = Rig()
    rig.desk.home_moved("c", letters.HomeMoved(LINK, "j9", 2, 0))
    assert rig.told[-1] == events.AttemptLost(LINK, "j9", 2)


async def test_an_instance_that_beats_without_end_does_not_flood_the_router() -> None:
    rig = Rig()
    rig.told.clear()
    link = rig.link
    gateway = Gateway(
        bus=InProcessBus(), clock=lambda: rig.now, settings=CoreSettings(), own_id="b"
    )
    gateway.desk = rig.desk
    for number in range(10_000):
        rig.now = number / 10_000
        gateway.frame_received(Heartbeat(running=["j1"] * 1024, slots=4), link)
    assert 4 <= len(rig.told) <= 6, "in one second"


async def test_an_announcement_that_changes_nothing_is_told_nobody() -> None:
    rig = Rig()
    for _ in range(1000):
        rig.announce(TINY)
    assert not rig.changes
    rig.announce()
    rig.announce(TINY)
    rig.announce(TINY, slots=2)
    rig.announce(TINY, slots=2)
    assert [(len(one.models), one.slots) for one in rig.changes] == [(0, 4), (1, 4), (1, 2)]
    rig.desk.beat(rig.link, Heartbeat(running=[], slots=4))
    rig.announce(TINY, slots=2)
    assert len(rig.changes) == 4, "the heartbeat had changed it"


async def test_of_announcements_that_change_without_end_the_last_is_told() -> None:
    rig = Rig()
    for number in range(10_001):
        rig.now = number / 1000
        rig.announce(*[TINY][(number + 1) % 2 :])
        rig.desk.tick()
    assert len(rig.changes) == CHANGES_MOST
    assert len(rig.changes[-1].models) == 1
    rig.announce(slots=3)
    rig.now += 60
    rig.desk.tick()
    rig.desk.tick()
    assert [(len(one.models), one.slots) for one in rig.changes[CHANGES_MOST:]] == [(0, 3)]
    assert not rig.link.is_closed


async def test_an_instance_may_pause_and_go_on_as_often_as_an_engine_restarts() -> None:
    rig = Rig()
    for number in range(1000):
        rig.now += 1.1
        rig.announce(*[TINY][(number + 1) % 2 :])
    assert len(rig.changes) == 1000
    assert not rig.link.is_closed


async def test_a_new_link_under_a_new_name_makes_no_room_for_more_changes() -> None:
    rig = Rig()
    for number in range(100):
        for _ in range(50):
            rig.announce()
            rig.announce(TINY)
        rig.now += 0.01
        rig.connect_anew(f"n{number}")
    assert len(rig.changes) == CHANGES_MOST
    rig.now += 60
    rig.announce()
    assert len(rig.changes) == CHANGES_MOST + 1
    assert not rig.link.is_closed
    rig.desk.close(rig.link)
    rig.announce(TINY)
    rig.desk.tick()
    assert len(rig.changes) == CHANGES_MOST + 1, "of a link that has ended nothing is told"


async def test_instances_that_come_again_and_again_with_much_to_say_are_sent_away() -> None:
    rig = Rig()
    offers = [ResumeOffer(f"o{n}", 1, 0, "running") for n in range(999)]
    rig.told.clear()
    for number in range(100):
        with contextlib.suppress(TooMuchSaidError):
            rig.connect_anew(f"n{number}", *offers)
    assert len(rig.told) == SAID_MOST // 1000 - 1, "the rig's own hello counts too"
    rig.now += 60
    rig.desk.tick()
    rig.connect_anew("later", *offers)
    assert len(rig.told) == SAID_MOST // 1000


async def test_a_large_fleet_that_comes_again_after_a_restart_is_taken_in_at_once() -> None:
    rig = Rig()
    rig.told.clear()
    for number in range(2000):
        rig.connect_anew(f"n{number}", *[ResumeOffer(f"o{number}", 1, 0, "running")] * 8)
    assert len(rig.told) == 2000
