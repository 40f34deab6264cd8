"""Decisions and ends of attempts to make records of."""

from datetime import UTC, datetime, timedelta

from apps.router.core.values import (
    AttemptEnded,
    AttemptOutcome,
    Candidate,
    Decision,
    Health,
    RuledOut,
    ServiceClass,
)
from apps.router.records.chain import BEGINNING, Place, Sealed, seal
from apps.router.records.entries import Gap, Recorded, entry_of

BEGUN = datetime(2026, 3, 1, 12, 0, 0, 250, tzinfo=UTC)


def decision(job_id: str, attempt: int = 1) -> Decision:
    """Make a decision between two instances of one name; the second one wins."""
    busy = Candidate("s1", "Ünit", Health.HEALTHY, 1, 1, 4, ruled_out=RuledOut.NO_FREE_SLOT)
    free = Candidate("s2", "Ünit", Health.PROBATION, 0, 2, 3, 0, 0.25, 1e-7, 12, 0.5)
    return Decision(
        job_id=job_id,
        attempt=attempt,
        at=12345.678,
        waited_s=0.125,
        rule="some-rule/1",
        asked_model="default",
        model_name="tiny",
        revision="",
        service_class=ServiceClass.REGISTERED,
        prompt_tokens=20,
        candidates=(busy, free),
        unlisted=0,
        winner="Ünit",
        winner_session="s2",
    )


def ended(job_id: str, attempt: int = 1) -> AttemptEnded:
    """Make an attempt's end."""
    return AttemptEnded(job_id, attempt, 12346.5, "Ünit", AttemptOutcome.DONE, 7)


def recorded(count: int) -> list[Recorded | Gap]:
    """Make what a router records of so many jobs, and a gap behind it."""
    entries: list[Recorded | Gap] = []
    for number in range(count):
        made_at = BEGUN + timedelta(seconds=number)
        entries.append(Recorded(made_at, decision(f"job-{number}")))
        entries.append(Recorded(made_at, ended(f"job-{number}")))
    return [*entries, Gap(BEGUN, 3)]


def sealed(count: int) -> list[Sealed]:
    """Make a whole log of so many jobs."""
    last, lines = BEGINNING, []
    for one in recorded(count):
        entry, line = seal(entry_of(one), last)
        last = Place(entry.sequence, line.hash)
        lines.append(line)
    return lines
