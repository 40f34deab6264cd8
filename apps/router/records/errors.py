"""What can be wrong with a record.

RecordError
└── BrokenLogError      an entry of the decision log was changed, is missing or out of order
"""

from enum import StrEnum


class Fault(StrEnum):
    """What is wrong with an entry."""

    CHANGED = "changed"
    MISSING = "missing"
    REORDERED = "reordered"


class RecordError(Exception):
    """A record cannot be used as it is."""


class BrokenLogError(RecordError):
    """An entry of the decision log was changed, is missing or out of order."""

    def __init__(self, sequence: int, job_id: str, fault: Fault, detail: str) -> None:
        job = f" (job {job_id})" if job_id else ""
        super().__init__(f"Entry {sequence}{job} is {_WORDS[fault]}: {detail}.")
        self.sequence = sequence
        self.job_id = job_id
        self.fault = fault
        self.detail = detail


_WORDS = {
    Fault.CHANGED: "changed",
    Fault.MISSING: "missing",
    Fault.REORDERED: "out of order",
}
