"""The rules that everybody knows: random, round robin, least loaded, two choices. Pure."""

from collections.abc import Sequence

from apps.router.core.instances import Instance
from apps.router.core.selection.base import SimpleRule
from apps.router.core.state import Job, RouterState


class Random(SimpleRule):
    """Any of them, evenly."""

    name = "random/1"

    def scores(
        self, eligible: Sequence[Instance], job: Job, state: RouterState, now: float
    ) -> list[float | None]:
        """Return draws."""
        return [state.next_draw() for _ in eligible]


class RoundRobin(SimpleRule):
    """The one whose last job is longest ago."""

    name = "round-robin/1"

    def scores(
        self, eligible: Sequence[Instance], job: Job, state: RouterState, now: float
    ) -> list[float | None]:
        """Return the numbers of the last assignments."""
        return [float(instance.last_assigned) for instance in eligible]


class LeastLoaded(SimpleRule):
    """The smallest share of its slots in use, so that small instances count as much as large."""

    name = "least-loaded/1"

    def scores(
        self, eligible: Sequence[Instance], job: Job, state: RouterState, now: float
    ) -> list[float | None]:
        """Return open jobs by slots."""
        return [instance.load for instance in eligible]


class TwoChoices(SimpleRule):
    """The less loaded of two drawn ones (power of two choices)."""

    name = "two-choices/1"

    def scores(
        self, eligible: Sequence[Instance], job: Job, state: RouterState, now: float
    ) -> list[float | None]:
        """Return open jobs by slots for two of them."""
        count = len(eligible)
        first = int(state.next_draw() * count)
        second = int(state.next_draw() * (count - 1)) if count > 1 else first
        second += count > 1 and second >= first
        return [
            instance.load if index in (first, second) else None
            for index, instance in enumerate(eligible)
        ]
