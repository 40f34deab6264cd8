"""The latest decisions, by job, for those who ask why."""

from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Final

from apps.router.core.values import Decision

MAX_JOBS: Final = 2_000


@dataclass(frozen=True, slots=True)
class RecordedDecision:
    """A decision and when it was made."""

    decision: Decision
    made_at: datetime


class DecisionRecord:
    """Keeps the decisions of the latest jobs in memory, oldest first out."""

    def __init__(self) -> None:
        self._by_job: OrderedDict[str, list[RecordedDecision]] = OrderedDict()

    def add(self, decision: Decision) -> None:
        """Keep one more."""
        recorded = RecordedDecision(decision, datetime.now(UTC))
        self._by_job.setdefault(decision.job_id, []).append(recorded)
        while len(self._by_job) > MAX_JOBS:
            self._by_job.popitem(last=False)

    def of_job(self, job_id: str) -> list[RecordedDecision]:
        """Return one job's decisions, first attempt first; empty when none is kept."""
        return list(self._by_job.get(job_id, ()))

    def latest(self, count: int) -> list[RecordedDecision]:
        """Return the newest jobs' last decisions, newest first."""
        return [decisions[-1] for decisions in islice(reversed(self._by_job.values()), count)]
