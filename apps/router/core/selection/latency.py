"""Rules that follow measured latency: peak EWMA, C3, and Prequal's hot-cold rule. Pure.

Latency is the time to the first token by the prompt tokens that were read: whole durations
would measure how much users ask for.
"""

from collections.abc import Sequence
from math import exp
from statistics import median
from typing import Final

from apps.router.core.instances import Instance, InstanceRecord
from apps.router.core.selection.base import SimpleRule
from apps.router.core.selection.port import Observation
from apps.router.core.speed import OVERHEAD_TOKENS
from apps.router.core.state import Job, RouterState

_FAILURE_S: Final = 5.0
"""What a failure counts as, in seconds to a first token (linkerd's default penalty)."""

_USUAL_TOKENS: Final = 1000
"""A failure's penalty is one for a prompt of so many tokens."""


def _per_token(seen: Observation) -> float | None:
    """Return the latency that an attempt showed, in seconds by prompt token."""
    if seen.has_failed:
        return _FAILURE_S / _USUAL_TOKENS
    if seen.first_token_s is None:
        return None
    return seen.first_token_s / (seen.new_tokens + OVERHEAD_TOKENS)


class PeakEwma(SimpleRule):
    """Latency that jumps up at once and comes down slowly, by the jobs in flight.

    After Finagle's PeakEwma: cost x (open jobs + 1), an unmeasured instance costs nothing until
    it has a job, and then very much.
    """

    name = "peak-ewma/1"
    _decay_s: Final = 10.0
    _unmeasured: Final = 1e6

    def scores(
        self, eligible: Sequence[Instance], job: Job, state: RouterState, now: float
    ) -> list[float | None]:
        """Return the decayed cost by the jobs in flight."""
        return [self._score(instance, now) for instance in eligible]

    def learn(self, record: InstanceRecord, seen: Observation, now: float) -> None:
        """Take in a latency."""
        latency = _per_token(seen)
        if latency is None:
            return
        cost, at = record.memory.get("peak-ewma", [0.0, now])
        weight = exp(-(now - at) / self._decay_s)
        cost = latency if latency > cost else cost * weight + latency * (1 - weight)
        record.memory["peak-ewma"] = [cost, now]

    def _score(self, instance: Instance, now: float) -> float:
        in_flight = len(instance.open_jobs)
        known = instance.record.memory.get("peak-ewma")
        if known is None:
            return self._unmeasured + in_flight if in_flight else 0.0
        cost, at = known
        return cost * exp(-(now - at) / self._decay_s) * (in_flight + 1)


class C3(SimpleRule):
    """Response less service time plus the cube of the queue by service time (NSDI'15).

    A slot is a server: the estimated queue is 1 + open jobs by slots.
    """

    name = "c3/1"
    _alpha: Final = 0.3

    def scores(
        self, eligible: Sequence[Instance], job: Job, state: RouterState, now: float
    ) -> list[float | None]:
        """Return R - S + q^3 S."""
        scores: list[float | None] = []
        for instance in eligible:
            response, service = instance.record.memory.get("c3", [0.0, 0.0])
            queue = 1 + instance.load
            scores.append(response - service + queue**3 * service)
        return scores

    def learn(self, record: InstanceRecord, seen: Observation, now: float) -> None:
        """Take in a response time; its share without the others is the service time."""
        response = _per_token(seen)
        if response is None:
            return
        service = response / (1 + seen.others)
        known = record.memory.get("c3")
        if known is None:
            record.memory["c3"] = [response, service]
        else:
            known[0] += self._alpha * (response - known[0])
            known[1] += self._alpha * (service - known[1])


class HotCold(SimpleRule):
    """Prequal's hot-cold lexicographic rule (NSDI'24) over the whole table.

    Cold instances have at most the 0.84 quantile of jobs in flight by slot: of these the one with
    the lowest latency at about its present load; without a cold one the least loaded.
    """

    name = "prequal/1"
    _quantile: Final = 2**-0.25
    _kept: Final = 16
    _hot: Final = 1e6

    def scores(
        self, eligible: Sequence[Instance], job: Job, state: RouterState, now: float
    ) -> list[float | None]:
        """Return latencies of cold ones, and loads of hot ones far above."""
        loads = sorted(instance.load for instance in state.instances.values())
        limit = loads[int(self._quantile * (len(loads) - 1))]
        return [
            self._latency(instance) if instance.load <= limit else self._hot + instance.load
            for instance in eligible
        ]

    def learn(self, record: InstanceRecord, seen: Observation, now: float) -> None:
        """Keep a latency with the number of jobs in flight at its beginning."""
        latency = _per_token(seen)
        if latency is not None:
            kept = record.memory.setdefault("prequal", [])
            kept += [float(seen.others), latency]
            del kept[: -2 * self._kept]

    def _latency(self, instance: Instance) -> float:
        kept = instance.record.memory.get("prequal")
        if not kept:
            return 0.0
        in_flight = len(instance.open_jobs)
        pairs = sorted(zip(kept[::2], kept[1::2], strict=True), key=lambda p: abs(p[0] - in_flight))
        return median(latency for _, latency in pairs[:5])
