"""Answers that grow, for the tests of journals."""

from itertools import count

from apps.router.live.streams import JobRequest, JobStream, Piece, Started
from motherfluxer_wire.frames import Chunk, Message

_numbers = count(1)


def new_stream(beginning: str = "") -> JobStream:
    """Return a job's stream to which nothing has happened."""
    request = JobRequest(
        messages=(Message("user", "hi"),),
        requester="user:1",
        service_class="registered",
        request_id="r1",
        beginning=beginning,
    )
    return JobStream(f"j{next(_numbers)}", request, submitted_at=1.0)


def begin(stream: JobStream) -> None:
    """Give the stream to a link."""
    started = Started("a", "m", stream.attempt + 1)
    stream.begin_attempt(started, owner="s1", fingerprint="f")


def grow(stream: JobStream, text: str) -> None:
    """Let one chunk come."""
    chunk = Chunk(stream.job_id, stream.attempt, stream.next_seq, text, 1, [len(text)])
    assert stream.accept(chunk, owner=str(stream.owner))


async def text_of(stream: JobStream, offset: int = 0) -> str:
    """Read to the end, and return all text that a reader got."""
    return "".join([event.text async for event in stream.read(offset) if isinstance(event, Piece)])
