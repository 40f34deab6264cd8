"""An attempt's outbox: joined, numbered once, kept until acknowledged."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motherfluxer_model.core.answer import Finished, Piece, Refused
from motherfluxer_model.core.outbox import MAX_CHUNK_CHARS, PACE_S, JobOutbox
from motherfluxer_wire.frames import Chunk, Done, Failed, Usage

DONE = Finished("stop", Usage(prompt_tokens=1, completion_tokens=1))


def box() -> JobOutbox:
    return JobOutbox("j", 1)


def chunks(frames: list[Chunk | Done | Failed]) -> list[tuple[int, str]]:
    return [(frame.seq, frame.text) for frame in frames if isinstance(frame, Chunk)]


def test_first_piece_is_due_at_once() -> None:
    outbox = box()
    assert outbox.due_at() is None
    outbox.add(Piece("a", 1))
    assert outbox.due_at() == 0.0


def test_later_pieces_are_due_at_the_pace_and_go_out_joined() -> None:
    outbox = box()
    outbox.add(Piece("a", 1, (1,)))
    outbox.take(100.0)
    outbox.add(Piece("b", 1, (2,)))
    outbox.add(Piece("c", 2, (3, 4)))
    assert outbox.due_at() == 100.0 + PACE_S
    (chunk,) = outbox.take(100.0 + PACE_S)
    assert chunk == Chunk(job="j", attempt=1, seq=1, text="bc", tokens=3, token_ids=[2, 3, 4])


def test_end_is_due_at_once_and_follows_the_last_text() -> None:
    outbox = box()
    outbox.add(Piece("a", 1))
    outbox.take(100.0)
    outbox.add(Piece("b", 1))
    outbox.end(DONE, 100.001)
    assert outbox.due_at() == 0.0
    chunk, done = outbox.take(100.001)
    assert isinstance(chunk, Chunk)
    assert isinstance(done, Done)
    assert done.seq == 2
    assert outbox.is_flushed


def test_first_end_stays() -> None:
    outbox = box()
    outbox.end(Refused("engine_error", "broke", retryable=True), 0)
    outbox.end(DONE, 1)
    (frame,) = outbox.take(1)
    assert isinstance(frame, Failed)
    assert frame.seq == 0


def test_ids_of_a_chunk_are_left_out_when_one_piece_has_none() -> None:
    outbox = box()
    outbox.add(Piece("a", 1, (1,)))
    outbox.add(Piece("b", 1, None))
    (chunk,) = outbox.take(0)
    assert isinstance(chunk, Chunk)
    assert chunk.token_ids is None
    assert chunk.tokens == 2


def test_rewinding_sends_the_same_chunks_and_the_end_again() -> None:
    outbox = box()
    for text in "abc":
        outbox.add(Piece(text, 1))
        outbox.take(0)
    outbox.end(DONE, 0)
    outbox.take(0)
    assert outbox.rewind(1)
    assert outbox.due_at() == 0.0
    again = outbox.take(1)
    assert chunks(again) == [(1, "b"), (2, "c")]
    assert isinstance(again[-1], Done)


def test_acknowledged_chunks_cannot_be_asked_for() -> None:
    outbox = box()
    for text in "abc":
        outbox.add(Piece(text, 1))
        outbox.take(0)
    outbox.acknowledge(2, 0)
    assert not outbox.rewind(1)
    assert not outbox.rewind(4)
    assert outbox.rewind(2)
    assert chunks(outbox.take(0)) == [(2, "c")]


def test_acknowledging_what_was_never_sent_forgets_nothing() -> None:
    outbox = box()
    outbox.add(Piece("a", 1))
    outbox.take(0)
    outbox.add(Piece("b", 1))
    outbox.acknowledge(99, 0)
    assert chunks(outbox.take(0)) == [(1, "b")]


def test_end_is_confirmed_only_after_it_was_sent() -> None:
    outbox = box()
    outbox.add(Piece("a", 1))
    outbox.take(0)
    outbox.end(DONE, 0)
    outbox.acknowledge(1, 5)
    assert outbox.confirmed_at is None
    outbox.take(5)
    outbox.acknowledge(1, 6)
    assert outbox.confirmed_at == 6


def test_long_text_goes_out_in_several_chunks() -> None:
    outbox = box()
    for _ in range(3):
        outbox.add(Piece("x" * (MAX_CHUNK_CHARS - 1), 1))
    assert [seq for seq, _ in chunks(outbox.take(0))] == [0, 1, 2]


@given(
    st.lists(
        st.one_of(
            st.text(min_size=1, max_size=3).map(lambda text: ("add", text)),
            st.just(("take", "")),
            st.integers(0, 20).map(lambda n: ("ack", n)),
            st.integers(0, 20).map(lambda n: ("break", n)),
        )
    )
)
def test_a_router_that_asks_for_what_it_lacks_gets_the_whole_text(
    steps: list[tuple[str, str | int]],
) -> None:
    outbox, said = box(), ""
    seen: list[str] = []
    for kind, value in [*steps, ("take", "")]:
        if kind == "add":
            outbox.add(Piece(str(value), 1))
            said += str(value)
        elif kind == "ack":
            outbox.acknowledge(min(int(value), len(seen)), 0)
        elif kind == "break":  # the router lost some of what was sent but not acknowledged
            lacks = max(len(seen) - int(value), outbox.offer().next_seq - len(outbox._chunks))
            del seen[lacks:]
            assert outbox.rewind(lacks)
        else:
            for frame in outbox.take(0):
                assert frame.seq == len(seen)
                assert isinstance(frame, Chunk)
                seen.append(frame.text)
    assert "".join(seen) == said


@pytest.mark.parametrize("from_seq", [0, 3])
def test_attempt_whose_chunks_are_gone_counts_on(from_seq: int) -> None:
    outbox = box()
    outbox.restart_at(from_seq)
    outbox.end(Refused("engine_error", "gone", retryable=True), 0)
    (failed,) = outbox.take(0)
    assert failed.seq == from_seq
