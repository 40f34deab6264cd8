"""The rule that ships: the instance where the answer is expected soonest. Pure.

score = time to the first token                         [s]
      + READING x time per token x usual answer length  [s]
      + how long a first token there is overdue         [s]
      + FAILURE_S x recent failures                     [s]
      + LOAD_S x open jobs by slots                     [s]

Both times are learned per instance and model (`speed.py`), for this prompt's length, for the part
of it that the instance does not hold from the conversation, and for the jobs that it has.
"""

from collections.abc import Sequence
from itertools import islice
from typing import Final

from apps.router.core.eligibility import unfit
from apps.router.core.figures import Costs, holder_of, reused_share
from apps.router.core.instances import Instance, InstanceRecord
from apps.router.core.selection.port import Observation
from apps.router.core.speed import CROWDING, OVERHEAD_TOKENS
from apps.router.core.state import Job, RouterState
from apps.router.core.values import Health

READING: Final = 0.03
"""What a second of writing weighs against a second of waiting for the first token."""

FAILURE_S: Final = 2.0
"""What a failure of this moment costs; it is forgotten by `failure_half_life_s`."""

LOAD_S: Final = 0.05
"""What a full instance costs against an empty one: decides while nothing is measured."""

HOLD_GAIN: Final = 0.6
"""A job is held back if waiting for a busy instance takes at most this share of the time. The
share shrinks with the backlog, for then an idle slot costs everybody: by half when as many other
jobs wait as there are instances."""

HOLD_FROM_S: Final = 0.5
"""A job that would get its first token sooner than this is never held back."""

HOLD_MAX_S: Final = 10.0
"""A job that has waited so long takes what is free."""


class Soonest:
    """Where the answer is expected soonest; waits for a busy instance if that is sooner still."""

    name = "soonest/1"

    def scores(
        self, eligible: Sequence[Instance], job: Job, state: RouterState, now: float
    ) -> list[float | None]:
        """Return expected seconds."""
        expect = _Expectation(job, state, now)
        return [expect.score(instance, len(instance.open_jobs)) for instance in eligible]

    def holds(
        self, best: Instance, score: float, job: Job, state: RouterState, *, ahead: int, now: float
    ) -> bool:
        """Compare with the busy instances: how soon one of the better ones will have a slot."""
        if score < HOLD_FROM_S or now - job.queued_at > HOLD_MAX_S:
            return False
        backlog = (len(state.queue) - 1) / len(state.instances)
        gain = HOLD_GAIN / (1 + backlog)
        expect = _Expectation(job, state, now)
        every = -(-len(state.instances) // state.settings.considered_count)
        rate = soonness = 0.0
        for instance in islice(state.instances.values(), 0, None, every):
            job_s = instance.record.job_s
            if len(instance.open_jobs) < instance.slots or not job_s.mean:
                continue
            is_ejected = instance.record.health is Health.EJECTED
            if is_ejected or unfit(state, instance, job) is not None:
                continue
            there = expect.score(instance, instance.slots - 1)
            if there < gain * score:
                frees = every * instance.slots / job_s.mean
                rate += frees
                soonness += frees * there
        return rate > 0 and (ahead + 1 + soonness) / rate < gain * score

    def learn(self, record: InstanceRecord, seen: Observation, now: float) -> None:
        """Keep nothing of its own: `speed.py` learns for everybody."""


def _is_measured(record: InstanceRecord, model_name: str) -> bool:
    speed = record.speeds.get(model_name)
    return speed is not None and speed.prefill.count > 0


class _Expectation:
    """What one job may expect of any instance."""

    def __init__(self, job: Job, state: RouterState, now: float) -> None:
        self.job, self.state, self.now = job, state, now
        self.holder_id, self.held = holder_of(state, job)
        self.tokens = job.prompt_tokens + job.given_tokens + OVERHEAD_TOKENS
        self.reading = READING * state.settings.usual_output_tokens
        self.costs = Costs(state, job.model_name, now) if job.model_name else None
        self.rtt_s = state.settings.region_rtt_s

    def score(self, instance: Instance, others: int) -> float:
        """Return the expected seconds on an instance that has so many other jobs."""
        record, state = instance.record, self.state
        costs = self.costs or Costs(state, next(iter(instance.models)), self.now)
        score = 0.0
        prefill, decode = costs.of(instance)
        if prefill is not None:
            tokens: float = self.tokens
            if self.held and record.instance_id == self.holder_id:
                tokens -= self.held * reused_share(record)
            score = prefill * tokens
        if decode is not None:
            score += decode * self.reading
        score *= 1 + CROWDING * others
        score += LOAD_S * others / instance.slots + record.overdue_s
        if record.failures:
            half_life_s = state.settings.failure_half_life_s
            score += FAILURE_S * record.recent_failures(self.now, half_life_s)
        rtt_s = self.rtt_s.get(instance.region) if self.rtt_s and instance.region else None
        if rtt_s and not _is_measured(record, costs.model_name):
            score += rtt_s
        return score
