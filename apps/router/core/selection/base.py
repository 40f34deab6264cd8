"""What most rules have in common: they hold nothing back and learn nothing. Pure."""

from apps.router.core.instances import Instance, InstanceRecord
from apps.router.core.selection.port import Observation
from apps.router.core.state import Job, RouterState


class SimpleRule:
    """A rule without a memory that never holds a job back."""

    def holds(
        self, best: Instance, score: float, job: Job, state: RouterState, *, ahead: int, now: float
    ) -> bool:
        """Give the job to the best free instance at once."""
        return False

    def learn(self, record: InstanceRecord, seen: Observation, now: float) -> None:
        """Keep nothing."""
