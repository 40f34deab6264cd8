"""The rule that ships: the instance where the answer is expected soonest. Pure.

score = time to the first token                         [s]
      + READING x time per token x usual answer length  [s]
      + FAILURE_S x recent failures                     [s]
      + LOAD_S x open jobs by slots                     [s]

Both times are learned per instance and model (`speed.py`), for this prompt's length, for the part
of it that the instance does not hold from the conversation, and for the jobs that it has.
"""

from collections.abc import Sequence
from typing import Final

from apps.router.core.figures import decode_s, holder_of, prefill_s, reused_share
from apps.router.core.instances import Instance, InstanceRecord
from apps.router.core.selection.port import Observation
from apps.router.core.speed import CROWDING, OVERHEAD_TOKENS
from apps.router.core.state import Job, RouterState
from apps.router.core.values import Health

READING: Final = 0.1
"""What a second of writing weighs against a second of waiting for the first token."""

FAILURE_S: Final = 2.0
"""What a failure of this moment costs; it is forgotten by `failure_half_life_s`."""

LOAD_S: Final = 0.05
"""What a full instance costs against an empty one: decides while nothing is measured."""

HOLD_GAIN: Final = 0.7
"""A job is held back if waiting for a busy instance takes at most this share of the time."""

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
        holder_id, held = holder_of(state, job)
        return [
            self._score(
                instance,
                len(instance.open_jobs),
                held if instance.record.instance_id == holder_id else 0,
                job,
                state,
                now,
            )
            for instance in eligible
        ]

    def holds(
        self, best: Instance, score: float, job: Job, state: RouterState, *, ahead: int, now: float
    ) -> bool:
        """Compare with the busy instances: how soon one of the better ones will have a slot."""
        if score < HOLD_FROM_S or now - job.queued_at > HOLD_MAX_S:
            return False
        rate = soonness = 0.0
        for instance in state.instances.values():
            record = instance.record
            if len(instance.open_jobs) < instance.slots or not record.job_s.count:
                continue
            if record.health in (Health.DRAINING, Health.EJECTED):
                continue
            if job.model_name is not None and job.model_name not in instance.models:
                continue
            there = self._score(instance, instance.slots - 1, 0, job, state, now)
            if there < HOLD_GAIN * score:
                frees = instance.slots / record.job_s.mean
                rate += frees
                soonness += frees * there
        if not rate:
            return False
        return (ahead + 1) / rate + soonness / rate < HOLD_GAIN * score

    def learn(self, record: InstanceRecord, seen: Observation, now: float) -> None:
        """Keep nothing of its own: `speed.py` learns for everybody."""

    def _score(
        self, instance: Instance, others: int, held: int, job: Job, state: RouterState, now: float
    ) -> float:
        model_name = job.model_name or next(iter(instance.models))
        record = instance.record
        crowd = 1 + CROWDING * others
        score = LOAD_S * others / instance.slots
        prefill = prefill_s(state, instance, model_name, now)
        if prefill is not None:
            tokens: float = job.prompt_tokens + job.given_tokens + OVERHEAD_TOKENS
            if held:
                tokens -= held * reused_share(record)
            score += prefill * tokens * crowd
        decode = decode_s(state, instance, model_name)
        if decode is not None:
            score += READING * decode * crowd * state.settings.usual_output_tokens
        if record.failures:
            half_life_s = state.settings.failure_half_life_s
            score += FAILURE_S * record.recent_failures(now, half_life_s)
        if model_name not in record.speeds and instance.region is not None:
            score += state.settings.region_rtt_s.get(instance.region, 0.0)
        return score
