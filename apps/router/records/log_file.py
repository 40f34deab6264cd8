"""Verifying a downloaded log."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from apps.router.records.chain import (
    Sealed,
    Unreadable,
    Verified,
    is_as_written,
    read_heading,
    read_line,
    verify,
)
from apps.router.records.errors import BrokenLogError, Fault


def verify_file(path: Path) -> Verified:
    """Check every line of a file. Raises BrokenLogError, OSError."""
    with path.open("rb") as file:
        return verify_lines(file)


def verify_lines(lines: Iterable[bytes]) -> Verified:
    """Check every line, each with its end. Raises BrokenLogError."""
    rewritten: list[Sealed] = []

    def entries() -> Iterator[Sealed | Unreadable]:
        for line in lines:
            entry = read_line(line)
            if not rewritten and isinstance(entry, Sealed) and not is_as_written(line, entry):
                rewritten.append(entry)
            yield entry

    verified = verify(entries())
    for sealed in rewritten:  # says the same in other bytes; a real change is told first
        heading = read_heading(sealed.body)
        detail = "its line is not written as the log writes it"
        raise BrokenLogError(heading.sequence, heading.job_id, Fault.CHANGED, detail)
    return verified
