"""Whatever becomes of a stream: what is written down of it makes the same stream again."""

import asyncio
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.router.errors import ErrorCode, JobError, JournalGapError
from apps.router.live.entries import AnyEntry, Grew, JournalEntry, Whole, joined
from apps.router.live.streams import (
    Ended,
    JobRequest,
    JobStream,
    Piece,
    Started,
    Waiting,
    stream_from,
)
from motherfluxer_wire.frames import Chunk, Message, Sampling, Usage

texts = st.text("aö🙂 ", max_size=3)
ids = st.lists(st.integers(0, 9), max_size=2)
errors = st.builds(JobError, st.sampled_from(ErrorCode), st.just("words"), st.none() | st.just(3))
changes = st.one_of(
    st.tuples(st.just("begin"), st.sampled_from(["f", "g", None])),
    st.tuples(st.just("grow"), texts, st.integers(0, 3), st.none() | ids),
    st.tuples(st.just("resume"), st.sampled_from(["s1", "s2"])),
    st.tuples(st.just("detach")),
    st.tuples(st.just("place"), st.integers(1, 9)),
    st.tuples(st.just("usage"), st.integers(0, 9)),
    st.tuples(st.just("end"), st.builds(Ended, st.none() | st.just("stop"), st.none() | errors)),
)


def new_stream(beginning: str = "") -> JobStream:
    request = JobRequest(
        messages=(Message("user", "hi"),),
        requester="user:1",
        service_class="registered",
        request_id="r1",
        sampling=Sampling(seed=7),
        beginning=beginning,
    )
    return JobStream("j1", request, submitted_at=12.5)


def change(stream: JobStream, kind: str, *given: Any) -> None:
    """Do as the gateway does; what it would not do is left out."""
    match kind, given:
        case "begin", (fingerprint,) if stream.ended is None:
            started = Started("a", "m", stream.attempt + 1)
            stream.begin_attempt(started, owner="s0", fingerprint=fingerprint)
        case "grow", (text, tokens, token_ids) if stream.owner:
            seq = stream.next_seq
            chunk = Chunk("j1", stream.attempt, seq, text, tokens, token_ids)
            assert stream.accept(chunk, owner=stream.owner)
        case "resume", (owner,) if stream.started and stream.ended is None:
            stream.resume_attempt(owner)
        case "detach", ():
            stream.detach()
        case "place", (place,):
            stream.set_place(Waiting(place, 9, 1, 0.5))
        case "usage", (tokens,):
            stream.set_usage(Usage(3, tokens))
        case "end", (ended,):
            stream.end(ended, at=99.0)


def written(entries: list[JournalEntry]) -> list[JournalEntry]:
    """Return entries as they come back from where they are kept."""
    data = msgspec.msgpack.encode(joined(entries))
    return list(msgspec.msgpack.decode(data, type=list[AnyEntry]))


@given(st.sampled_from(["", "Once "]), st.lists(changes, max_size=30), st.data())
def test_what_is_written_down_makes_the_same_stream(
    beginning: str, steps: list[Any], data: st.DataObject
) -> None:
    stream = new_stream(beginning)
    told: list[JournalEntry] = []
    stream.told = told.append
    rounds: list[JournalEntry] = [stream.whole()]
    for step in steps:
        change(stream, *step)
        if data.draw(st.integers(0, 2)) == 0:
            rounds += written(told)
            told.clear()
            again = stream_from(rounds)
            assert again is not None
            assert again.whole() == stream.whole()
    again = stream_from([*written(rounds), *written(told)])
    assert again is not None
    assert again.whole() == stream.whole()
    assert (again.waiting, again.attempt_tokens) == (stream.waiting, stream.attempt_tokens)
    assert again.prefix_token_ids("f") == stream.prefix_token_ids("f")


@given(st.lists(changes, max_size=20), st.lists(changes, max_size=20), st.data())
def test_whole_written_anew_doubles_and_loses_no_character(
    before: list[Any], after: list[Any], data: st.DataObject
) -> None:
    stream, replica = new_stream(), new_stream()
    told: list[JournalEntry] = []
    stream.told = told.append
    for step in before:
        change(stream, *step)
    for entry in told[: data.draw(st.integers(0, len(told)))]:
        replica.apply(entry)
    told.clear()
    replica.apply(stream.whole())
    for step in after:
        change(stream, *step)
    for entry in written(told):
        replica.apply(entry)
        replica.apply(entry)
    assert replica.text == stream.text
    assert (replica.attempt, replica.ended) == (stream.attempt, stream.ended)


def test_shorter_whole_takes_no_text_away() -> None:
    stream, replica = new_stream(), new_stream()
    shorter = stream.whole()
    change(stream, "begin", "f")
    change(stream, "grow", "abc", 1, None)
    replica.apply(stream.whole())
    replica.apply(shorter)
    replica.apply(Grew(1, "bcd", 2, 2, None))
    assert replica.text == "abcd"


def test_hole_in_the_text_is_an_error() -> None:
    with pytest.raises(JournalGapError):
        new_stream().apply(Grew(3, "x", 1, 1, None))


def test_stream_whose_beginning_is_gone_is_none() -> None:
    assert stream_from([]) is None
    assert stream_from([Grew(0, "x", 1, 1, None)]) is None


def test_growth_is_joined_and_only_the_last_place_stays() -> None:
    stream = new_stream()
    told: list[JournalEntry] = []
    stream.told = told.append
    for step in (("place", 3), ("place", 2), ("begin", "f")):
        change(stream, *step)
    for text in "abc":
        change(stream, "grow", text, 1, [4])
    kinds = [type(entry).__name__ for entry in joined(told)]
    assert kinds == ["Placed", "Begun", "Grew"]
    assert joined(told)[-1] == Grew(0, "abc", 3, 3, [4, 4, 4])


async def test_reader_of_a_stream_made_again_sees_what_comes_after() -> None:
    stream = new_stream()
    change(stream, "begin", "f")
    change(stream, "grow", "ab", 1, None)
    replica = stream_from([stream.whole()])
    assert replica is not None
    stream.told = replica.apply

    async def read() -> list[Any]:
        return [event async for event in replica.read(1)]

    reader = asyncio.create_task(read())
    await asyncio.sleep(0)
    change(stream, "grow", "c", 1, None)
    await asyncio.sleep(0)
    change(stream, "end", Ended("stop"))
    assert await reader == [Started("a", "m", 1), Piece("b", 2), Piece("c", 3), Ended("stop")]


def test_whole_of_an_older_version_is_read() -> None:
    whole = new_stream().whole()
    short = msgspec.msgpack.encode(["Whole", *msgspec.to_builtins(whole)[1:5]])
    assert msgspec.msgpack.decode(short, type=AnyEntry).text == ""
    assert isinstance(msgspec.msgpack.decode(short, type=AnyEntry), Whole)
