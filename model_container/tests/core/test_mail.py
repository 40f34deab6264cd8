"""All held attempts together: who replaces whom, what is offered, what is dropped."""

from motherfluxer_model.core.answer import Finished, Piece
from motherfluxer_model.core.mail import (
    CONFIRMED_KEPT_S,
    ENDED_KEPT_S,
    MAX_BATCH_FRAMES,
    MAX_HELD_CHARS,
    SLACK_S,
    Mail,
    Opening,
)
from motherfluxer_model.core.outbox import PACE_S
from motherfluxer_wire import codec
from motherfluxer_wire.frames import Ack, Batch, Chunk, Failed, Resume, Usage, Welcome

DONE = Finished("stop", Usage(prompt_tokens=1, completion_tokens=1))


def welcome(*resume: Resume, drop: tuple[str, ...] = ()) -> Welcome:
    return Welcome(
        protocol="motherfluxer.v1",
        session="s",
        heartbeat_s=1,
        resume=list(resume),
        drop=list(drop),
    )


def test_same_attempt_again_is_known_and_a_newer_one_replaces() -> None:
    mail = Mail()
    assert mail.judge("j", 1) is Opening.NEW
    mail.open("j", 2)
    assert mail.judge("j", 1) is Opening.KNOWN
    assert mail.judge("j", 2) is Opening.KNOWN
    assert mail.judge("j", 3) is Opening.REPLACES


def test_ended_job_does_not_run_but_is_still_offered() -> None:
    mail = Mail()
    mail.open("a", 1).end(DONE, 0)
    mail.open("b", 1)
    assert mail.running == ["b"]
    assert [(offer.job, offer.state) for offer in mail.offers()] == [
        ("b", "running"),
        ("a", "ended"),
    ]


def test_welcome_takes_up_some_and_the_rest_is_forgotten() -> None:
    mail = Mail()
    for job in "abc":
        mail.open(job, 1).add(Piece(job, 1))
    mail.take(0)
    forgotten = mail.apply_welcome(welcome(Resume("a", 1, 0), Resume("b", 2, 0), drop=("c",)), 1)
    assert sorted(box.job for box in forgotten) == ["b", "c"]
    (chunk,) = mail.take(1)
    assert isinstance(chunk, Chunk)
    assert (chunk.job, chunk.seq) == ("a", 0)


def test_router_that_asks_for_acknowledged_chunks_hears_that_they_are_gone() -> None:
    mail = Mail()
    mail.open("a", 1).add(Piece("x", 1))
    mail.take(0)
    mail.acknowledge(Ack("a", 1, 1), 0)
    (forgotten,) = mail.apply_welcome(welcome(Resume("a", 1, 0)), 1)
    assert forgotten.is_running
    (failed,) = mail.take(1)
    assert isinstance(failed, Failed)
    assert failed.seq == 0
    assert failed.retryable


def test_confirmed_ends_are_kept_a_little_and_others_for_minutes() -> None:
    mail = Mail()
    for job in "ab":
        mail.open(job, 1).end(DONE, 0)
    mail.take(0)
    mail.acknowledge(Ack("a", 1, 0), 0)
    mail.expire(CONFIRMED_KEPT_S)
    assert len(mail.offers()) == 2
    mail.expire(CONFIRMED_KEPT_S + 1)
    assert [offer.job for offer in mail.offers()] == ["b"]
    mail.expire(ENDED_KEPT_S + 1)
    assert mail.offers() == []


def test_running_job_never_expires() -> None:
    mail = Mail()
    mail.open("a", 1)
    mail.expire(1e9)
    assert mail.running == ["a"]


def test_acknowledgement_of_another_attempt_is_ignored() -> None:
    mail = Mail()
    mail.open("a", 2).add(Piece("x", 1))
    mail.take(0)
    mail.acknowledge(Ack("a", 1, 1), 0)
    mail.acknowledge(Ack("b", 1, 1), 0)
    assert mail.apply_welcome(welcome(Resume("a", 2, 0)), 0) == []


def test_what_is_due_almost_together_goes_out_as_one_batch() -> None:
    mail = Mail()
    first, second = mail.open("a", 1), mail.open("b", 1)
    first.add(Piece("x", 1))
    mail.take(0)
    second.add(Piece("y", 1))
    mail.take(SLACK_S)
    first.add(Piece("x", 1))
    second.add(Piece("y", 1))
    assert mail.due_at() == PACE_S
    assert mail.take(PACE_S - 2 * SLACK_S) == []
    (batch,) = mail.take(PACE_S)
    assert isinstance(batch, Batch)
    assert [frame.job for frame in batch.frames] == ["a", "b"]


def test_huge_resends_are_cut_into_frames_of_legal_size() -> None:
    mail = Mail()
    box = mail.open("a", 1)
    for _ in range(100):
        box.add(Piece("\x01" * 5_000, 500, tuple(range(500))))
    frames = mail.take(0)
    assert len(frames) > 1
    for frame in frames:
        codec.encode(frame)
    count = sum(len(f.frames) if isinstance(f, Batch) else 1 for f in frames)
    for index in range(MAX_BATCH_FRAMES + 1):
        mail.open(f"b{index}", 1).add(Piece("x", 1))
    assert len(mail.take(0)) == 2
    assert count == box.next_seq


def test_attempt_that_nobody_acknowledges_overflows() -> None:
    mail = Mail()
    box = mail.open("a", 1)
    box.add(Piece("x" * MAX_HELD_CHARS, 1))
    assert mail.overflowing == []
    box.add(Piece("x", 1))
    assert mail.overflowing == [box]
    mail.take(0)
    mail.acknowledge(Ack("a", 1, box.next_seq), 0)
    assert mail.overflowing == []


def test_mail_is_flushed_when_all_ends_are_sent() -> None:
    mail = Mail()
    assert mail.is_flushed
    box = mail.open("a", 1)
    assert not mail.is_flushed
    box.end(DONE, 0)
    assert not mail.is_flushed
    mail.take(0)
    assert mail.is_flushed
    assert mail.drop("a") is box
    assert mail.judge("a", 1) is Opening.NEW
