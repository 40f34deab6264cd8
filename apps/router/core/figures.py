"""What is known of an instance for one job: figures that rules and decisions read. Pure."""

from typing import Final

from apps.router.core.instances import Instance, InstanceRecord
from apps.router.core.state import Job, RouterState

_REUSE_UNKNOWN: Final = 0.5
"""The share of a held prompt that an instance is thought to reuse before it has shown any."""

UNTRIED: Final = 0.8
"""What an untried instance is thought to need of the model's usual time: who is thought as slow as
the rest may never be tried while the fleet is idle."""

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


class Costs:
    """What a token costs on any instance with one model, at one moment."""

    def __init__(self, state: RouterState, model_name: str, now: float) -> None:
        self.model_name, self.now = model_name, now
        self._prefill = self._decode = None
        usual = state.models.get(model_name)
        if usual is not None:
            self._prefill = usual.speed.prefill.mean or None
            self._decode = usual.speed.decode.mean or None
        self._untried = (
            self._prefill and self._prefill * UNTRIED,
            self._decode and self._decode * UNTRIED,
        )

    def of(self, instance: Instance) -> tuple[float | None, float | None]:
        """Return the uncrowded seconds per prompt token and per answer token.

        Of an untried instance a share of the model's usual figures; None before there are any.
        """
        speed = instance.record.speeds.get(self.model_name)
        if speed is None or not speed.prefill.count:
            return self._untried
        usual, own = self._prefill, speed.prefill.mean
        decode = speed.decode.mean if speed.decode.count else self._decode
        if usual is None or own <= usual or instance.open_jobs:
            return own, decode
        idle_s = self.now - speed.used_at
        if idle_s < _IDLE_HALF_LIFE_S:
            return own, decode
        return usual + (own - usual) * 0.5 ** (idle_s / _IDLE_HALF_LIFE_S), decode
