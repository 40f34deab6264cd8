"""Entries chained by their hashes: making them, and finding what was changed. Pure.

An entry's hash is the SHA-256 of the previous entry's hash (64 hexadecimal characters) and the
body, both as UTF-8; before the first entry stand 64 zeros.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import msgspec
from msgspec import Struct

from apps.router.records.entries import AnyEntry
from apps.router.records.errors import BrokenLogError, Fault


@dataclass(frozen=True, slots=True)
class Place:
    """A place in the chain: an entry's number and hash."""

    sequence: int
    hash: str


BEGINNING: Final = Place(0, "0" * 64)

_JOB_ID: Final = re.compile(r'job_id\\?"\s*:\s*\\?"([^"\\]+)')


class _About(Struct, frozen=True):
    job_id: str


class Heading(Struct, frozen=True):
    """What every body says, whatever its kind and whatever version of the site wrote it."""

    sequence: int
    made_at: datetime
    kind: str
    decision: _About | None = None
    ended: _About | None = None

    @property
    def job_id(self) -> str:
        """The job that the entry is about, or "" if it is about none."""
        about = self.decision or self.ended
        return about.job_id if about else ""


class Sealed(Struct, frozen=True, forbid_unknown_fields=True):
    """An entry as it is kept and published: one line of the log."""

    body: str
    hash: str
    previous_hash: str


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A line that is no entry."""

    text: str
    problem: str


@dataclass(frozen=True, slots=True)
class Verified:
    """A chain without a fault. `first` and `last` are None when it is empty."""

    count: int
    first: Place | None
    last: Place | None


_headings: Final = msgspec.json.Decoder(Heading)
_entries: Final[msgspec.json.Decoder[AnyEntry]] = msgspec.json.Decoder(AnyEntry)
_lines: Final = msgspec.json.Decoder(Sealed)


def seal(entry: AnyEntry, previous: Place) -> tuple[AnyEntry, Sealed]:
    """Give an entry the number and the hash that follow on another."""
    numbered = msgspec.structs.replace(entry, sequence=previous.sequence + 1)
    body = msgspec.json.encode(numbered, order="sorted").decode()
    return numbered, Sealed(body, hash_of(previous.hash, body), previous.hash)


def hash_of(previous_hash: str, body: str) -> str:
    """Return an entry's hash."""
    return hashlib.sha256((previous_hash + body).encode()).hexdigest()


def read_heading(body: str) -> Heading:
    """Read what every entry says. Raises msgspec.DecodeError."""
    return _headings.decode(body)


def read_body(body: str) -> AnyEntry:
    """Read a whole entry. Raises msgspec.DecodeError."""
    return _entries.decode(body)


def write_line(sealed: Sealed) -> bytes:
    """Return an entry's line in the published file, its end included."""
    return msgspec.json.encode(sealed) + b"\n"


def read_line(line: bytes) -> Sealed | Unreadable:
    """Read one line of a published file."""
    try:
        return _lines.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return Unreadable(line.decode(errors="replace"), f"its line can't be read ({error})")


def is_as_written(line: bytes, sealed: Sealed) -> bool:
    """Whether a line is byte for byte as the log writes it; the end of the last may lack."""
    return write_line(sealed).removesuffix(b"\n") == line.removesuffix(b"\n")


def verify(lines: Iterable[Sealed | Unreadable], start: Place | None = None) -> Verified:
    """Check every entry and the order of all. Raises BrokenLogError for the first fault.

    start: the place before the first entry; None takes the first one's word for it.
    """
    rest = iter(lines)
    first: Place | None = None
    last, count = start, 0
    for line in rest:
        expected = last.sequence + 1 if last else _first_number(line)
        sealed, entry = _check_alone(line, expected)
        last = last or Place(entry.sequence - 1, sealed.previous_hash)
        if entry.sequence != last.sequence + 1:
            raise _misplaced(entry, last.sequence + 1, rest)
        if sealed.previous_hash != last.hash:
            raise _replaced(entry, last)
        last = Place(entry.sequence, sealed.hash)
        first = first or last
        count += 1
    return Verified(count, first, last if count else None)


def _first_number(sealed: Sealed | Unreadable) -> int | None:
    """Only the very first entry has a number that its previous hash tells."""
    is_beginning = isinstance(sealed, Sealed) and sealed.previous_hash == BEGINNING.hash
    return 1 if is_beginning else None


def _check_alone(sealed: Sealed | Unreadable, expected: int | None) -> tuple[Sealed, Heading]:
    """Return the entry and what it says, if it is as it was when it was hashed."""
    if isinstance(sealed, Unreadable):
        raise _changed(expected, sealed.text, sealed.problem)
    if hash_of(sealed.previous_hash, sealed.body) != sealed.hash:
        raise _changed(expected, sealed.body, "its hash does not fit its body and previous_hash")
    try:
        entry = read_heading(sealed.body)
    except msgspec.DecodeError as error:
        raise _changed(expected, sealed.body, f"its body can't be read ({error})") from error
    if entry.sequence == 1 and sealed.previous_hash != BEGINNING.hash:
        raise _changed(1, sealed.body, "before the first entry stand 64 zeros")
    return sealed, entry


def _changed(expected: int | None, text: str, detail: str) -> BrokenLogError:
    if expected is None:
        found = re.search(r'sequence\\?":\s*(\d+)', text)
        expected = int(found[1]) if found else 1
    job = _JOB_ID.search(text)
    return BrokenLogError(expected, job[1] if job else "", Fault.CHANGED, detail)


def _replaced(entry: Heading, last: Place) -> BrokenLogError:
    """The entry is whole, but was made after another one than stands before it."""
    detail = f"entry {entry.sequence} names another hash for it than it has"
    return BrokenLogError(last.sequence, "", Fault.CHANGED, detail)


def _misplaced(
    entry: Heading, expected: int, rest: Iterator[Sealed | Unreadable]
) -> BrokenLogError:
    if entry.sequence < expected:
        detail = f"it stands where entry {expected} should, a second time or too late"
        return BrokenLogError(entry.sequence, entry.job_id, Fault.REORDERED, detail)
    if any(_number_of(other) == expected for other in rest):
        detail = f"it stands where entry {expected} should"
        return BrokenLogError(entry.sequence, entry.job_id, Fault.REORDERED, detail)
    others = f", and so are those up to {entry.sequence - 1}" * (entry.sequence > expected + 1)
    detail = f"entry {entry.sequence} (job {entry.job_id or 'none'}) stands in its place{others}"
    return BrokenLogError(expected, "", Fault.MISSING, detail)


def _number_of(sealed: Sealed | Unreadable) -> int | None:
    try:
        return read_heading(sealed.body).sequence if isinstance(sealed, Sealed) else None
    except msgspec.DecodeError:
        return None
