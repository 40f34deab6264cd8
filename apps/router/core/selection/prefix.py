"""The instance that still holds the conversation, else the least loaded. Pure.

After SGLang's cache-aware rule, with its threshold of 0.3 of the prompt. Only an instance with a
free slot is eligible at all, which is this rule's guard against piling up.
"""

from collections.abc import Sequence
from typing import Final

from apps.router.core.figures import held_tokens
from apps.router.core.instances import Instance
from apps.router.core.selection.base import SimpleRule
from apps.router.core.state import Job, RouterState


class PrefixAffinity(SimpleRule):
    """A matching instance goes before all others."""

    name = "prefix-affinity/1"
    _threshold: Final = 0.3

    def scores(
        self, eligible: Sequence[Instance], job: Job, state: RouterState, now: float
    ) -> list[float | None]:
        """Return loads, that of the holder less one."""
        enough = self._threshold * job.prompt_tokens
        return [
            instance.load - (0 < enough < held_tokens(state, instance, job))
            for instance in eligible
        ]
