"""Reading the decision log from the database."""

from collections.abc import Generator, Sequence
from contextlib import closing
from datetime import datetime

import msgspec
from django.db.models import QuerySet

from apps.router.models import LogChain, LogEntry
from apps.router.records.attempts import Attempt, attempts_of
from apps.router.records.chain import (
    BEGINNING,
    Place,
    Sealed,
    Unreadable,
    Verified,
    read_body,
    read_heading,
    verify,
    write_line,
)
from apps.router.records.entries import AnyEntry, kind_of
from apps.router.records.errors import BrokenLogError, Fault


def log_lines(*, after: int, count: int) -> tuple[list[bytes], int]:
    """Return the published lines of so many entries, and the number of the last one."""
    rows = list(LogEntry.objects.filter(sequence__gt=after)[:count])
    last = rows[-1].sequence if rows else after
    return [write_line(_sealed(row)) for row in rows], last


def log_entries_of_job(*, job_id: str) -> list[AnyEntry]:
    """Return what the log says of one job, oldest first."""
    rows = LogEntry.objects.filter(job_id=job_id).order_by("sequence")
    return [read_body(row.body) for row in rows]


def log_without_written(*, entries: Sequence[AnyEntry]) -> list[AnyEntry]:
    """Return those that the log does not hold: of the same job, attempt, kind and moment."""
    job_ids, moments = {one.job_id for one in entries}, {one.made_at for one in entries}
    rows = LogEntry.objects.filter(job_id__in=job_ids - {""}, made_at__in=moments)
    written = {_what(read_body(row.body)) for row in rows}
    return [one for one in entries if _what(one) not in written]


def _what(entry: AnyEntry) -> tuple[str, int, str, datetime]:
    return entry.job_id, entry.attempt, kind_of(entry), entry.made_at


def log_latest_decisions(*, count: int) -> list[AnyEntry]:
    """Return the last decisions, newest first."""
    rows = LogEntry.objects.filter(kind="decision").order_by("-sequence")[:count]
    return [read_body(row.body) for row in rows]


def log_decisions() -> QuerySet[LogEntry]:
    """Return the decisions, for a list that is filtered and cut into pages."""
    return LogEntry.objects.filter(kind="decision")


def log_attempts(*, rows: Sequence[LogEntry]) -> list[Attempt]:
    """Return what these decisions began, in their order, each with its end where it has one."""
    ends = LogEntry.objects.filter(kind="ended", job_id__in={row.job_id for row in rows})
    return attempts_of(read_body(row.body) for row in (*rows, *ends))


def log_verify() -> Verified:
    """Check the whole log. Raises BrokenLogError.

    The site may write and remove meanwhile: nothing is locked.
    """
    while True:
        begun = _chain()
        try:
            return _verify_from(begun)
        except BrokenLogError:
            if _chain().removed_sequence == begun.removed_sequence:
                raise


def _verify_from(chain: LogChain) -> Verified:
    seen: list[str] = []
    renumbered: list[LogEntry] = []

    def rows() -> Generator[Sealed | Unreadable, None, None]:
        for row in LogEntry.objects.order_by("sequence").iterator():
            if row.sequence == chain.last_sequence:
                seen.append(row.hash)
            yield _checked(row, renumbered)

    with closing(rows()) as entries:
        verified = verify(entries, Place(chain.removed_sequence, chain.removed_hash))
    for row in renumbered:
        detail = "its number beside its body is another than in it"
        raise BrokenLogError(row.sequence, row.job_id, Fault.CHANGED, detail)
    last = verified.last.sequence if verified.last else chain.removed_sequence
    if last < chain.last_sequence:
        detail = f"the log went on to entry {chain.last_sequence}"
        raise BrokenLogError(last + 1, "", Fault.MISSING, detail)
    if seen and seen[0] != chain.last_hash:
        detail = "its hash is not the one that was noted when it was written"
        raise BrokenLogError(chain.last_sequence, "", Fault.CHANGED, detail)
    return verified


def _checked(row: LogEntry, renumbered: list[LogEntry]) -> Sealed | Unreadable:
    """Return the entry, unless the columns beside its body say something else."""
    try:
        heading = read_heading(row.body)
    except msgspec.DecodeError:
        return _sealed(row)  # its hash will say so
    if heading.sequence != row.sequence:
        renumbered.append(row)  # most likely out of order, which `verify` tells more exactly
    if (heading.job_id, heading.kind, heading.made_at) == (row.job_id, row.kind, row.made_at):
        return _sealed(row)
    return Unreadable(row.body, "its columns say something else than its body")


def _sealed(row: LogEntry) -> Sealed:
    return Sealed(row.body, row.hash, row.previous_hash)


def _chain() -> LogChain:
    new = LogChain(removed_hash=BEGINNING.hash, last_hash=BEGINNING.hash)
    return LogChain.objects.filter(pk=LogChain.ONLY).first() or new
