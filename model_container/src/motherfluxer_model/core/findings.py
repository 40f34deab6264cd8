"""What `check` finds, one line each, and what follows for the exit code. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Grade(StrEnum):
    """How good or bad a finding is."""

    OK = "ok"
    ADVICE = "advice"
    WARNING = "warning"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at; `exit_code` counts where it failed."""

    what: str
    grade: Grade
    words: str
    exit_code: int = 1

    def __str__(self) -> str:
        return f"{self.grade:<8} {self.what:<11} {self.words}"


def conclude(findings: Sequence[Finding]) -> tuple[str, int]:
    """Sum up in words, and give the exit code: that of the first failure."""
    failed = [finding for finding in findings if finding.grade is Grade.FAILED]
    warned = [finding for finding in findings if finding.grade is Grade.WARNING]
    words = f"{_counted(len(failed), 'failure')}, {_counted(len(warned), 'warning')}"
    if failed:
        return f"{words}: mend what failed, and check again.", failed[0].exit_code
    return f"{words}: this instance can join; start it with `run` in place of `check`.", 0


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
