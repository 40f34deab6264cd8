"""The interface that every selection rule has. Pure."""

from collections.abc import Sequence
from typing import Protocol

from apps.router.core.values import Candidate


class Rule(Protocol):
    """Picks one of the instances that could have a job."""

    @property
    def name(self) -> str:
        """The rule's name and version, as decisions show it."""
        ...

    def pick(self, eligible: Sequence[Candidate]) -> Candidate:
        """Return one of at least one candidate, none of them ruled out."""
        ...
