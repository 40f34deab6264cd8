"""A job's attempts, put together from the entries about them. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from apps.router.records.entries import (
    AnyEntry,
    DecisionEntry,
    EndedEntry,
    PublicDecision,
    PublicEnd,
)


@dataclass(frozen=True, slots=True)
class Attempt:
    """Why one instance got the job, and how that ended; `ended` is None while it runs."""

    made_at: datetime
    decision: PublicDecision
    ended_at: datetime | None = None
    ended: PublicEnd | None = None


def attempts_of(entries: Iterable[AnyEntry]) -> list[Attempt]:
    """Return the attempts, of one job or of several, in the order of their decisions here."""
    attempts: dict[tuple[str, int], Attempt] = {}
    for entry in entries:
        if isinstance(entry, DecisionEntry):
            made = entry.decision
            attempts[made.job_id, made.attempt] = Attempt(entry.made_at, made)
        elif isinstance(entry, EndedEntry):
            key = entry.ended.job_id, entry.ended.attempt
            if begun := attempts.get(key):
                attempts[key] = replace(begun, ended_at=entry.made_at, ended=entry.ended)
    return list(attempts.values())
