"""What is written down of a job's stream: its changes, one struct each, and the whole of it. Pure.

Whoever applies them in order holds the same stream. Growth says where it begins and what the counts
are after it, so to apply it twice, or beside a whole that has it already, changes nothing.
"""

from collections.abc import Iterable

from msgspec import Struct

from apps.router.live.stream_values import Ended, JobRequest, Started, Waiting
from motherfluxer_wire.frames import Usage


class JournalEntry(Struct, frozen=True, tag=True, array_like=True):
    """Something that has become of a stream."""


class Whole(JournalEntry, frozen=True):
    """All of a stream. `place`: where it waits, None once an instance has it.

    `token_ids`: the text as ids of the model with this fingerprint, None when some are unknown.
    """

    job_id: str
    request: JobRequest
    submitted_at: float
    text: str
    completion_tokens: int = 0
    earlier_tokens: int = 0
    attempt: int = 0
    next_seq: int = 0
    owner: str | None = None
    fingerprint: str | None = None
    token_ids: list[int] | None = None
    started: Started | None = None
    place: Waiting | None = None
    usage: Usage | None = None
    ended: Ended | None = None
    ended_at: float | None = None


class Begun(JournalEntry, frozen=True):
    """A link has got the stream for a new attempt."""

    started: Started
    owner: str
    fingerprint: str | None


class Grew(JournalEntry, frozen=True):
    """Chunks came. `offset`: of their first character; the counts are those after them.

    `token_ids`: of these chunks, None when some are unknown.
    """

    offset: int
    text: str
    completion_tokens: int
    next_seq: int
    token_ids: list[int] | None


class Resumed(JournalEntry, frozen=True):
    """The same attempt has a new link."""

    owner: str


class Detached(JournalEntry, frozen=True):
    """No link has the stream."""


class Placed(JournalEntry, frozen=True):
    """The job's place in the queue."""

    place: Waiting


class Counted(JournalEntry, frozen=True):
    """The usage of the whole answer."""

    usage: Usage


class Closed(JournalEntry, frozen=True):
    """Nothing more will come."""

    ended: Ended
    at: float


AnyEntry = Whole | Begun | Grew | Resumed | Detached | Placed | Counted | Closed


def joined(entries: Iterable[JournalEntry]) -> list[JournalEntry]:
    """Return the same with growth after growth as one, and of places in a row the last."""
    kept: list[JournalEntry] = []
    growth: list[Grew] = []
    for entry in entries:
        if isinstance(entry, Grew):
            growth.append(entry)
            continue
        if growth:
            kept.append(_one_of(growth))
            growth = []
        if isinstance(entry, Placed) and kept and isinstance(kept[-1], Placed):
            kept.pop()
        kept.append(entry)
    return [*kept, _one_of(growth)] if growth else kept


def _one_of(growth: list[Grew]) -> Grew:
    if len(growth) == 1:
        return growth[0]
    ids: list[int] | None = []
    for grew in growth:
        ids = None if ids is None or grew.token_ids is None else [*ids, *grew.token_ids]
    text = "".join(grew.text for grew in growth)
    return Grew(growth[0].offset, text, growth[-1].completion_tokens, growth[-1].next_seq, ids)
