"""What can be wrong with a record.

RecordError
├── BrokenLogError          an entry of the decision log was changed, is missing or out of order
├── UnreadableEventsError   a file of recorded events can't be read
└── UnknownSettingError     a replay was to change a setting that there is not, or to nonsense
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


class UnreadableEventsError(RecordError):
    """A file of recorded events can't be read."""

    def __init__(self, name: str, line: int, detail: str) -> None:
        super().__init__(f"{name}, line {line}: {detail}.")
        self.name = name
        self.line = line
        self.detail = detail


class UnknownSettingError(RecordError):
    """A replay was to change a setting that there is not, or to nonsense."""

    def __init__(self, name: str, detail: str) -> None:
        super().__init__(f"The setting {name}: {detail}.")
        self.name = name
        self.detail = detail


_WORDS = {
    Fault.CHANGED: "changed",
    Fault.MISSING: "missing",
    Fault.REORDERED: "out of order",
}
