"""What the router decided and how it ended: the latest jobs' in memory, all of it to be written."""

from collections import OrderedDict
from itertools import islice

from apps.router.conf import CONF
from apps.router.core.values import AttemptEnded, Decision
from apps.router.live.log_writer import LogWriter
from apps.router.records.entries import AnyEntry, Recorded, entry_of


class DecisionRecord:
    """Keeps the latest jobs' decisions, oldest first out, and hands each on to the log."""

    def __init__(self) -> None:
        self.writer = LogWriter()
        self._by_job: OrderedDict[str, list[Recorded]] = OrderedDict()

    def add(self, what: Decision | AttemptEnded) -> None:
        """Keep one more."""
        recorded = Recorded.now(what)
        self.writer.put(recorded)
        self._by_job.setdefault(what.job_id, []).append(recorded)
        while len(self._by_job) > CONF.log_memory_jobs_count:
            self._by_job.popitem(last=False)

    def of_job(self, job_id: str) -> list[AnyEntry]:
        """Return all that was recorded of one job, oldest first; empty when not all is in memory.

        A job that waited long may have lost its beginning to younger ones.
        """
        kept = self._by_job.get(job_id)
        return [entry_of(one) for one in kept] if kept and kept[0].what.attempt == 1 else []

    def latest_decisions(self, count: int) -> list[AnyEntry]:
        """Return the newest jobs' last decisions, newest first."""
        newest = islice(reversed(self._by_job.values()), count)
        found = (self._last_decision(recorded) for recorded in newest)
        return [entry_of(recorded) for recorded in found if recorded is not None]

    @staticmethod
    def _last_decision(recorded: list[Recorded]) -> Recorded | None:
        return next((one for one in reversed(recorded) if isinstance(one.what, Decision)), None)
