"""Two histories of the same questions, side by side. Pure."""

from collections import Counter
from collections.abc import Sequence
from math import ceil

from msgspec import Struct

from apps.router.records.history import History


class Side(Struct, frozen=True, kw_only=True):
    """One history's figures, in seconds and numbers of jobs.

    Waits are until the first attempt, first tokens from the question on. `by_instance`: jobs by
    the name of the instance that had them first.
    """

    given: int
    answered: int
    further_attempts: int
    waited_p50_s: float
    waited_p95_s: float
    first_token_p50_s: float
    first_token_p95_s: float
    by_instance: dict[str, int]


class Comparison(Struct, frozen=True, kw_only=True):
    """What was and what would have been. `elsewhere` counts among the `common` jobs."""

    recorded: Side
    would_be: Side
    common: int
    elsewhere: int


def compare(recorded: Sequence[History], would_be: Sequence[History]) -> Comparison:
    """Compare histories that belong together pair by pair."""
    then: dict[str, str] = {}
    now: dict[str, str] = {}
    for one, other in zip(recorded, would_be, strict=True):
        then |= _first_instances(one)
        now |= _first_instances(other)
    common = then.keys() & now.keys()
    return Comparison(
        recorded=_side(recorded),
        would_be=_side(would_be),
        common=len(common),
        elsewhere=sum(then[job_id] != now[job_id] for job_id in common),
    )


def _first_instances(history: History) -> dict[str, str]:
    """Return which instance each job had first, of those that were new."""
    return {
        job_id: job.attempts[1].machine[0]
        for job_id, job in history.jobs.items()
        if job.waited_s is not None
    }


def _side(histories: Sequence[History]) -> Side:
    jobs = [job for history in histories for job in history.jobs.values()]
    new = [job for job in jobs if job.waited_s is not None]
    waits = [job.waited_s for job in new if job.waited_s is not None]
    first_tokens = [
        job.first_token_at - job.submitted_at
        for job in new
        if job.first_token_at is not None and job.submitted_at is not None
    ]
    counts: Counter[str] = Counter()
    names: dict[str, str] = {}
    for history in histories:
        counts.update(_first_instances(history).values())
        names |= history.names
    return Side(
        given=len(new),
        answered=sum(job.is_answered for job in new),
        further_attempts=sum(len(job.attempts) - 1 for job in new),
        waited_p50_s=quantile(waits, 0.50),
        waited_p95_s=quantile(waits, 0.95),
        first_token_p50_s=quantile(first_tokens, 0.50),
        first_token_p95_s=quantile(first_tokens, 0.95),
        by_instance=_by_name(counts, names),
    )


def _by_name(counts: Counter[str], names: dict[str, str]) -> dict[str, int]:
    """Count by name; instances of one name by a number behind it, in the order of their ids."""
    by_name: dict[str, int] = {}
    for instance_id in sorted(names, key=lambda one: (names[one], one)):
        name, number = names[instance_id], 2
        while name in by_name:
            name, number = f"{names[instance_id]} ({number})", number + 1
        by_name[name] = counts[instance_id]
    return by_name


def quantile(samples: Sequence[float], share: float) -> float:
    """Return the smallest sample that is not below so large a share of all; 0 of none."""
    if not samples:
        return 0.0
    return sorted(samples)[max(0, ceil(share * len(samples)) - 1)]
