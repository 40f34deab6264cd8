"""Taking jobs in: doubles, replacements, slots, faults, and answers that go on unheard."""

import asyncio

import pytest

from motherfluxer_model.core.mail import MAX_HELD_CHARS
from motherfluxer_model.core.outbox import PACE_S
from motherfluxer_model.core.tally import RATE_WINDOW_S
from motherfluxer_model.desk import Desk
from motherfluxer_model.errors import GenerationError
from motherfluxer_model.testing.engine import FedEngine
from motherfluxer_model.testing.router import make_job
from motherfluxer_wire.frames import Batch, Cancel, Chunk, Done, Failed, Resume, Welcome


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


class Setup:
    """A desk with one slot, and everything it says."""

    def __init__(self, slots: int = 1) -> None:
        self.engine = FedEngine()
        self.clock = Clock()
        self.desk = Desk(self.engine, slots, self.clock)

    async def said(self) -> list[Chunk | Done | Failed]:
        """Let everything run, then give what is to be sent."""
        for _ in range(10):
            await asyncio.sleep(0)
        self.clock.now_s += PACE_S
        frames: list[Chunk | Done | Failed] = []
        for frame in self.desk.mail.take(self.clock()):
            frames += frame.frames if isinstance(frame, Batch) else [frame]
        return frames


@pytest.fixture
def setup() -> Setup:
    return Setup()


async def test_job_is_answered(setup: Setup) -> None:
    setup.desk.take_in(make_job())
    setup.engine.say("j1", "a")
    setup.engine.say("j1", "b")
    setup.engine.finish("j1")
    chunk, done = await setup.said()
    assert isinstance(chunk, Chunk)
    assert chunk.text == "ab"
    assert isinstance(done, Done)
    assert setup.desk.is_empty
    assert setup.desk.news.is_set()


async def test_job_received_twice_is_begun_once(setup: Setup) -> None:
    for _ in range(2):
        setup.desk.take_in(make_job())
    await setup.said()
    assert setup.engine.started == [("j1", 1)]
    await setup.desk.close()


async def test_newer_attempt_replaces_the_older(setup: Setup) -> None:
    setup.desk.take_in(make_job())
    await setup.said()
    setup.desk.take_in(make_job(attempt=2))
    await setup.said()
    setup.desk.take_in(make_job(attempt=1))
    assert setup.engine.cancelled == [("j1", 1)]
    assert setup.engine.started == [("j1", 1), ("j1", 2)]
    await setup.desk.close()


async def test_job_over_the_slots_is_sent_elsewhere(setup: Setup) -> None:
    setup.desk.take_in(make_job("a"))
    setup.desk.take_in(make_job("b"))
    (failed,) = await setup.said()
    assert isinstance(failed, Failed)
    assert (failed.job, failed.code, failed.retryable) == ("b", "overloaded", True)
    await setup.desk.close()


async def test_draining_desk_takes_no_new_job(setup: Setup) -> None:
    setup.desk.is_draining = True
    setup.desk.take_in(make_job())
    (failed,) = await setup.said()
    assert isinstance(failed, Failed)
    assert failed.code == "overloaded"


@pytest.mark.parametrize(
    ("error", "code", "retryable"),
    [
        (GenerationError("bad_request", "no"), "bad_request", False),
        (RuntimeError("secret path"), "engine_error", True),
    ],
)
async def test_fault_of_one_job_stays_with_it(error: Exception, code: str, retryable: bool) -> None:
    setup = Setup(slots=2)
    setup.desk.take_in(make_job("a"))
    setup.desk.take_in(make_job("b"))
    setup.engine.fail("a", error)
    setup.engine.say("b", "fine")
    setup.engine.finish("b")
    failed, chunk, done = await setup.said()
    assert isinstance(failed, Failed)
    assert (failed.job, failed.code, failed.retryable) == ("a", code, retryable)
    assert "secret" not in failed.message
    assert isinstance(chunk, Chunk)
    assert isinstance(done, Done)


async def test_cancelled_job_ends_and_frees_its_slot(setup: Setup) -> None:
    setup.desk.take_in(make_job())
    await setup.said()
    setup.desk.cancel(Cancel("j1", 1, "gone"))
    (done,) = await setup.said()
    assert isinstance(done, Done)
    assert done.finish_reason == "cancelled"
    assert setup.desk.running == []


async def test_job_cancelled_before_the_engine_heard_of_it_never_begins(setup: Setup) -> None:
    setup.desk.take_in(make_job())
    setup.desk.cancel(Cancel("j1", 1, "gone"))
    (done,) = await setup.said()
    assert isinstance(done, Done)
    assert done.finish_reason == "cancelled"
    assert setup.engine.started == []


async def test_cancelling_what_nobody_knows_is_answered(setup: Setup) -> None:
    setup.desk.cancel(Cancel("lost", 3, "gone"))
    (done,) = await setup.said()
    assert isinstance(done, Done)
    assert (done.job, done.attempt, done.seq) == ("lost", 3, 0)


async def test_cancelling_what_has_ended_says_nothing_more(setup: Setup) -> None:
    setup.desk.take_in(make_job(attempt=2))
    setup.engine.finish("j1")
    assert len(await setup.said()) == 1
    setup.desk.cancel(Cancel("j1", 2, "late"))
    setup.desk.cancel(Cancel("j1", 1, "later"))
    assert await setup.said() == []


async def test_dropped_job_is_stopped_and_not_heard_of_again(setup: Setup) -> None:
    setup.desk.take_in(make_job())
    setup.engine.say("j1", "a")
    await setup.said()
    setup.desk.apply_welcome(Welcome("motherfluxer.v1", "s", 1, drop=["j1"]))
    assert setup.engine.cancelled == [("j1", 1)]
    assert await setup.said() == []
    assert setup.desk.running == []


async def test_resumed_job_goes_on(setup: Setup) -> None:
    setup.desk.take_in(make_job())
    setup.engine.say("j1", "a")
    await setup.said()
    setup.engine.say("j1", "b")
    await asyncio.sleep(0)
    setup.desk.apply_welcome(Welcome("motherfluxer.v1", "s", 1, resume=[Resume("j1", 1, 0)]))
    again = await setup.said()
    assert [frame.text for frame in again if isinstance(frame, Chunk)] == ["a", "b"]
    await setup.desk.close()


async def test_heartbeat_names_what_runs_and_how_fast(setup: Setup) -> None:
    setup.desk.take_in(make_job())
    for _ in range(5):
        setup.engine.say("j1", "a")
    await setup.said()
    beat = setup.desk.heartbeat()
    assert beat.running == ["j1"]
    assert beat.tokens_per_s == 5 / RATE_WINDOW_S
    assert beat.load is not None
    setup.clock.now_s += 2 * RATE_WINDOW_S
    assert setup.desk.heartbeat().tokens_per_s == 0
    await setup.desk.close()


async def test_answer_that_nobody_acknowledges_is_given_up(setup: Setup) -> None:
    setup.desk.take_in(make_job())
    setup.engine.say("j1", "x" * (MAX_HELD_CHARS + 1))
    await setup.said()
    setup.desk.heartbeat()
    (failed,) = await setup.said()
    assert isinstance(failed, Failed)
    assert failed.code == "overloaded"
    assert setup.engine.cancelled == [("j1", 1)]
