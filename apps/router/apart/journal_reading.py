"""A job's journal as it is read: entries out of Redis, a stream out of entries."""

import logging
from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec
from redis.asyncio import Redis

from apps.router.apart import keys
from apps.router.errors import JournalGapError
from apps.router.live.entries import AnyEntry, JournalEntry
from apps.router.live.streams import JobStream, stream_from

log = logging.getLogger(__name__)

_entries: Final = msgspec.msgpack.Decoder(list[AnyEntry])
_parts: Final = msgspec.msgpack.Decoder(list[msgspec.Raw])
_entry: Final[msgspec.msgpack.Decoder[JournalEntry]] = msgspec.msgpack.Decoder(AnyEntry)


async def journal_read(redis: "Redis[bytes]", job_id: str) -> tuple[JobStream, bytes] | None:
    """Return a job's stream and the id that its journal is read up to; None when it is gone."""
    rows = await redis.xrange(keys.journal(job_id))
    stream = stream_of_rows(job_id, [fields.get(b"b") for _, fields in rows])
    return (stream, rows[-1][0]) if stream is not None else None


def stream_of_rows(job_id: str, rows: Sequence[bytes | None]) -> JobStream | None:
    """Make a stream of a journal's rows; None when they don't make one."""
    try:
        return stream_from(entry for row in rows for entry in entries_of(row))
    except JournalGapError as error:
        log.error("journal has a hole", extra={"job": job_id, "detail": str(error)})
        return None


def entries_of(row: bytes | None) -> Sequence[JournalEntry]:
    """Return what one row holds; what another version wrote and this one can't read is left out."""
    if row is None:
        return ()
    try:
        return _entries.decode(row)
    except msgspec.DecodeError:
        return list(_readable(row))


def _readable(row: bytes) -> Iterator[JournalEntry]:
    parts: list[Any] = []
    try:
        parts = _parts.decode(row)
    except msgspec.DecodeError:
        log.error("journal row is unreadable")
    for part in parts:
        try:
            yield _entry.decode(part)
        except msgspec.DecodeError:
            log.warning("journal entry is of another version")
