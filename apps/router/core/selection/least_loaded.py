"""The instance with the smallest share of its slots in use. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from apps.router.core.values import Candidate


@dataclass(frozen=True, slots=True)
class LeastLoaded:
    """Open jobs by slots, so that small instances count as much as large ones.

    Among equals the one that has waited longest since its last job, so that a tie never sends
    everything to one instance.
    """

    name: str = "least-loaded/1"

    def pick(self, eligible: Sequence[Candidate]) -> Candidate:
        """Return the least loaded candidate."""
        return min(eligible, key=lambda c: (c.load, c.last_assigned, c.session))
