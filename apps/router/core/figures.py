"""What is known of an instance for one job: figures that rules and decisions read. Pure."""

from typing import Final

from apps.router.core.instances import Instance, InstanceRecord
from apps.router.core.state import Job, RouterState

_REUSE_UNKNOWN: Final = 0.5
"""The share of a held prompt that an instance is thought to reuse before it has shown any."""

_IDLE_HALF_LIFE_S: Final = 300.0
"""An idle instance's measured slowness is believed half as much after so long, so that one that
was slow once is tried again."""


def holder_of(state: RouterState, job: Job) -> tuple[str | None, int]:
    """Return the instance that answered the conversation last, and the prompt tokens it read."""
    holding = state.conversations.get(job.conversation) if job.conversation else None
    if holding is None:
        return None, 0
    return holding.instance_id, min(holding.tokens, job.prompt_tokens)


def held_tokens(state: RouterState, instance: Instance, job: Job) -> int:
    """Return how many tokens of the prompt the instance has answered before."""
    holder_id, tokens = holder_of(state, job)
    return tokens if holder_id == instance.record.instance_id else 0


def reused_share(record: InstanceRecord) -> float:
    """Return which share of a held prompt the instance does not read again."""
    return record.reuse.mean if record.reuse.count else _REUSE_UNKNOWN


def new_tokens(state: RouterState, instance: Instance, job: Job) -> float:
    """Return how many tokens the instance would have to read, what was shown included."""
    held = held_tokens(state, instance, job)
    return job.prompt_tokens + job.given_tokens - held * reused_share(instance.record)


def prefill_s(state: RouterState, instance: Instance, model_name: str, now: float) -> float | None:
    """Return the uncrowded seconds per prompt token; the model's usual ones if not measured."""
    speed = instance.record.speeds.get(model_name)
    if speed is None or not speed.prefill.count:
        return _usual_prefill_s(state, model_name)
    own = speed.prefill.mean
    idle_s = now - speed.used_at
    if idle_s < _IDLE_HALF_LIFE_S or instance.open_jobs:
        return own
    usual_s = _usual_prefill_s(state, model_name)
    if usual_s is None or own <= usual_s:
        return own
    return float(usual_s + (own - usual_s) * 0.5 ** (idle_s / _IDLE_HALF_LIFE_S))


def decode_s(state: RouterState, instance: Instance, model_name: str) -> float | None:
    """Return the uncrowded seconds per answer token; the model's usual ones if not measured."""
    speed = instance.record.speeds.get(model_name)
    if speed is not None and speed.decode.count:
        return speed.decode.mean
    usual = state.models.get(model_name)
    return usual.speed.decode.mean if usual and usual.speed.decode.count else None


def _usual_prefill_s(state: RouterState, model_name: str) -> float | None:
    usual = state.models.get(model_name)
    return usual.speed.prefill.mean if usual and usual.speed.prefill.count else None
