"""Verifying a downloaded log."""

from collections.abc import Generator
from contextlib import closing
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
    rewritten: list[Sealed] = []

    def lines() -> Generator[Sealed | Unreadable, None, None]:
        with path.open("rb") as file:
            for line in file:
                entry = read_line(line)
                if not rewritten and isinstance(entry, Sealed) and not is_as_written(line, entry):
                    rewritten.append(entry)
                yield entry

    with closing(lines()) as read:
        verified = verify(read)
    for sealed in rewritten:  # says the same in other bytes; a real change is told first
        heading = read_heading(sealed.body)
        detail = "its line is not written as the log writes it"
        raise BrokenLogError(heading.sequence, heading.job_id, Fault.CHANGED, detail)
    return verified
