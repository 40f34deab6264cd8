"""What a home says to links and to the router, and when it forgets."""

from collections.abc import Callable

from apps.router.core import effects, events, letters
from apps.router.core.events import Event
from apps.router.core.settings import CoreSettings
from apps.router.live.homes import ENDED_STREAM_KEPT_S, Homes
from apps.router.live.streams import JobRequest, JobStream
from motherfluxer_wire.frames import Chunk, Done, Message, Usage

LINK = "b.1"


class SlowKeeper:
    """Keeps what it is given when the test says so."""

    def __init__(self) -> None:
        self.waiting: list[Callable[[], None]] = []

    def open(self, stream: JobStream) -> None:
        """Do nothing."""

    def close(self, stream: JobStream) -> None:
        """Do nothing."""

    async def safe(self, _stream: JobStream) -> bool:
        """Wait for nothing."""
        return True

    def when_safe(self, _stream: JobStream, act: Callable[[], None]) -> None:
        """Note what is to be done later."""
        self.waiting.append(act)

    def keep(self) -> None:
        """Be done with writing."""
        waiting, self.waiting = self.waiting, []
        for act in waiting:
            act()


class Rig:
    """One home between a router and a link."""

    def __init__(self) -> None:
        self.now = 0.0
        self.told: list[Event] = []
        self.sent: list[letters.Between] = []
        self.keeper = SlowKeeper()
        self.homes = Homes(
            clock=lambda: self.now,
            settings=CoreSettings(),
            publish=self.told.append,
            to_link=lambda letter, _: self.sent.append(letter),
            keeper=self.keeper,
        )
        request = JobRequest(
            messages=(Message("user", "Hello?"),),
            requester="user:1",
            service_class="registered",
            request_id="r",
        )
        self.stream = self.homes.open("j1", request)
        self.homes.perform(effects.AssignJob("j1", 1, LINK, "tiny"))

    def chunks(self, count: int) -> None:
        """Let so many pieces come."""
        for seq in range(self.stream.next_seq, self.stream.next_seq + count):
            self.homes.chunk_came(LINK, Chunk("j1", 1, seq, "x", 1))


async def test_an_instance_may_forget_only_what_is_kept() -> None:
    rig = Rig()
    rig.chunks(16)
    assert rig.stream.text == "x" * 16
    assert not [one for one in rig.sent if isinstance(one, letters.AckToLink)]
    rig.keeper.keep()
    assert rig.sent[-1] == letters.AckToLink(LINK, "j1", 1, 16)


async def test_the_router_hears_of_an_end_only_when_all_before_it_is_kept() -> None:
    rig = Rig()
    rig.chunks(3)
    rig.homes.done_came(LINK, Done("j1", 1, 3, "stop", Usage(1, 3)))
    assert not [one for one in rig.told if isinstance(one, events.AttemptDone)]
    rig.keeper.keep()
    assert rig.sent[-1] == letters.AckToLink(LINK, "j1", 1, 3, is_end=True)
    assert [one.finish_reason for one in rig.told if isinstance(one, events.AttemptDone)] == [
        "stop"
    ]


async def test_a_home_that_gave_a_job_away_says_no_more_of_it_and_forgets_it() -> None:
    rig = Rig()
    rig.chunks(3)
    gone: list[str] = []
    rig.homes.hand_over(rig.stream, lambda: gone.append("j1"))
    assert not gone
    rig.keeper.keep()
    assert gone == ["j1"]
    told = list(rig.told)
    rig.homes.done_came(LINK, Done("j1", 1, 3, "stop", Usage(1, 3)))
    rig.keeper.keep()
    assert rig.told == told
    rig.homes.forget_old()
    assert "j1" in rig.homes.streams
    rig.now += ENDED_STREAM_KEPT_S + 1
    rig.homes.forget_old()
    assert not rig.homes.streams


async def test_an_adopted_job_is_taken_from_where_its_journal_ends() -> None:
    rig = Rig()
    rig.chunks(3)
    other = Rig()
    other.homes.adopt(rig.stream, letters.AdoptJob("j1", 1, LINK))
    assert other.sent[-1] == letters.HomeMoved(LINK, "j1", 1, 3)
    other.homes.adopt(rig.stream, letters.AdoptJob("j1", 2, LINK))
    assert other.told[-1] == events.AttemptLost(LINK, "j1", 2)
