"""The interface that every selection rule has. Pure."""

from collections.abc import Sequence
from typing import Protocol

from apps.router.core.instances import Instance, InstanceRecord
from apps.router.core.state import Job, RouterState


class Observation:
    """What an attempt showed of its instance; rules learn from it.

    `first_token_s` comes once, with the first token (`new_tokens`: those of the prompt that the
    instance had to read). `duration_s` comes once, at the end (`tokens`: what it wrote).
    `others`: the other jobs on the instance when the attempt began.
    """

    __slots__ = ("duration_s", "first_token_s", "has_failed", "new_tokens", "others", "tokens")

    def __init__(
        self,
        *,
        first_token_s: float | None = None,
        new_tokens: float = 0.0,
        duration_s: float | None = None,
        tokens: int = 0,
        others: int = 0,
        has_failed: bool = False,
    ) -> None:
        self.first_token_s = first_token_s
        self.new_tokens = new_tokens
        self.duration_s = duration_s
        self.tokens = tokens
        self.others = others
        self.has_failed = has_failed


class Rule(Protocol):
    """Scores the instances that could have a job; the lowest score gets it.

    Among equal scores the instance wins whose last job is longest ago, so that a tie never sends
    everything to one instance.
    """

    name: str

    def scores(
        self, eligible: Sequence[Instance], job: Job, state: RouterState, now: float
    ) -> list[float | None]:
        """Return a score for each of at least one instance, None for one not looked at."""
        ...

    def holds(
        self, best: Instance, score: float, job: Job, state: RouterState, *, ahead: int, now: float
    ) -> bool:
        """Whether the job had better wait for a busy instance than go to the best free one.

        `ahead`: how many jobs before it in the queue are held back as well.
        """
        ...

    def learn(self, record: InstanceRecord, seen: Observation, now: float) -> None:
        """Take in what an attempt showed; a rule keeps its figures in `record.memory`."""
        ...
