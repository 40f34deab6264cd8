"""A job's stream: exact text for every reader, whatever instances and readers do."""

import asyncio

import pytest

from apps.router.errors import JobMovedError
from apps.router.live.streams import (
    MAX_ANSWER_CHARS,
    Ended,
    JobRequest,
    JobStream,
    Piece,
    Started,
    StreamEvent,
    Waiting,
)
from motherfluxer_wire.errors import WireError
from motherfluxer_wire.frames import Chunk, Message, Usage


def new_stream() -> JobStream:
    request = JobRequest(
        messages=(Message("user", "hi"),),
        requester="user:1",
        service_class="registered",
        request_id="r1",
    )
    return JobStream("j1", request, submitted_at=0.0)


def begun(stream: JobStream, attempt: int = 1, fingerprint: str | None = "f") -> JobStream:
    stream.begin_attempt(Started("a", "m", attempt), owner=f"s{attempt}", fingerprint=fingerprint)
    return stream


def chunk(seq: int, text: str, *, attempt: int = 1, ids: list[int] | None = None) -> Chunk:
    return Chunk("j1", attempt, seq, text, len(ids) if ids else 1, ids)


async def read_all(stream: JobStream, offset: int = 0) -> list[StreamEvent]:
    return [event async for event in stream.read(offset)]


async def test_doubled_chunk_is_shown_once() -> None:
    stream = begun(new_stream())
    assert stream.accept(chunk(0, "a"), owner="s1")
    assert not stream.accept(chunk(0, "a"), owner="s1")
    assert stream.accept(chunk(1, "b"), owner="s1")
    assert stream.text == "ab"


async def test_missing_chunk_is_a_protocol_error() -> None:
    stream = begun(new_stream())
    with pytest.raises(WireError, match="chunk_gap"):
        stream.accept(chunk(1, "b"), owner="s1")
    with pytest.raises(WireError, match="chunk_gap"):
        stream.is_complete(attempt=1, seq=3, owner="s1")


async def test_older_attempt_and_foreign_link_are_ignored() -> None:
    stream = begun(begun(new_stream()), attempt=2)
    assert not stream.accept(chunk(0, "old"), owner="s1")
    assert not stream.accept(chunk(0, "forged", attempt=2), owner="s1")
    assert stream.accept(chunk(0, "new", attempt=2), owner="s2")
    assert stream.text == "new"


async def test_detached_stream_takes_nothing_until_resumed() -> None:
    stream = begun(new_stream())
    stream.accept(chunk(0, "a"), owner="s1")
    stream.detach()
    assert not stream.accept(chunk(1, "b"), owner="s1")
    assert stream.can_resume(attempt=1, next_seq=1)
    assert not stream.can_resume(attempt=1, next_seq=0)
    stream.resume_attempt("s9")
    assert stream.accept(chunk(1, "b"), owner="s9")
    assert stream.text == "ab"


async def test_every_offset_resumes_exactly() -> None:
    stream = begun(new_stream())
    for seq, text in enumerate(["He", "llo", " wörld", "🙂", "!"]):
        stream.accept(chunk(seq, text), owner="s1")
    stream.end(Ended("stop"), at=1.0)
    whole = "Hello wörld🙂!"
    for offset in range(len(whole) + 1):
        events = await read_all(stream, offset)
        text = "".join(event.text for event in events if isinstance(event, Piece))
        assert whole[:offset] + text == whole
        assert events[-1] == Ended("stop")


@pytest.mark.parametrize("tells_places", [True, False])
async def test_reader_sees_place_start_text_and_end_in_order(tells_places: bool) -> None:
    stream = new_stream()

    async def read() -> list[StreamEvent]:
        return [event async for event in stream.read(tells_places=tells_places)]

    reader = asyncio.create_task(read())
    await asyncio.sleep(0)
    stream.set_place(Waiting(2, 2, 1))
    await asyncio.sleep(0)
    begun(stream)
    await asyncio.sleep(0)
    stream.accept(chunk(0, "hi"), owner="s1")
    await asyncio.sleep(0)
    stream.end(Ended("stop"), at=1.0)
    assert await reader == [
        *([Waiting(2, 2, 1)] if tells_places else []),
        Started("a", "m", 1),
        Piece("hi", 2),
        Ended("stop"),
    ]


async def test_ids_are_handed_over_only_between_equal_fingerprints() -> None:
    stream = begun(new_stream())
    stream.accept(chunk(0, "ab", ids=[1, 2]), owner="s1")
    assert stream.prefix_token_ids("f") == [1, 2]
    assert stream.prefix_token_ids("other") is None
    assert stream.prefix_token_ids(None) is None
    begun(stream, attempt=2)
    stream.accept(chunk(0, "c", attempt=2, ids=[3]), owner="s2")
    assert stream.prefix_token_ids("f") == [1, 2, 3]


async def test_ids_are_not_handed_over_when_some_are_unknown() -> None:
    stream = begun(new_stream())
    stream.accept(chunk(0, "a", ids=[1]), owner="s1")
    stream.accept(chunk(1, "b"), owner="s1")
    assert stream.prefix_token_ids("f") is None


async def test_usage_counts_the_whole_answer() -> None:
    stream = begun(new_stream())
    stream.accept(chunk(0, "ab", ids=[1, 2]), owner="s1")
    begun(stream, attempt=2)
    stream.set_usage(Usage(prompt_tokens=7, completion_tokens=3))
    assert stream.usage == Usage(prompt_tokens=7, completion_tokens=5)


async def test_endless_answer_is_a_protocol_error() -> None:
    stream = begun(new_stream())
    stream.accept(chunk(0, "x" * MAX_ANSWER_CHARS), owner="s1")
    with pytest.raises(WireError, match="invalid_frame"):
        stream.accept(chunk(1, "x"), owner="s1")
    assert len(stream.text) == MAX_ANSWER_CHARS


async def test_beginning_is_the_start_of_the_text_and_never_claimed_as_token_ids() -> None:
    request = JobRequest(
        messages=(Message("user", "hi"),),
        requester="user:1",
        service_class="registered",
        request_id="r1",
        beginning="Once ",
    )
    stream = begun(JobStream("j1", request, submitted_at=0.0))
    assert stream.accept(chunk(0, "upon", ids=[7]), owner="s1")
    stream.end(Ended("stop"), at=1.0)
    assert (stream.text, stream.completion_tokens) == ("Once upon", 1)
    assert stream.prefix_token_ids("f") is None
    pieces = [event for event in await read_all(stream, 5) if isinstance(event, Piece)]
    assert pieces == [Piece("upon", 9)]


async def test_who_reads_a_stream_that_moves_away_is_sent_elsewhere_after_what_there_is() -> None:
    stream = begun(new_stream())
    stream.accept(chunk(0, "Hello"), owner="s1")
    seen: list[StreamEvent] = []

    async def read_noting() -> None:
        async for event in stream.read():
            seen.append(event)  # noqa: PERF401 # what came before the error counts

    reading, waiting = asyncio.create_task(read_noting()), asyncio.create_task(stream.wait_ended())
    await asyncio.sleep(0)
    stream.move_away()
    assert not stream.accept(chunk(1, "!"), owner="s1")
    with pytest.raises(JobMovedError):
        await reading
    with pytest.raises(JobMovedError):
        await waiting
    assert Piece("Hello", 5) in seen
