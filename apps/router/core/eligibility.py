"""Which instances could have a job, and why the others can't. Pure."""

from collections.abc import Iterable
from typing import Final

from apps.router.core.instances import Instance
from apps.router.core.state import Job, RouterState
from apps.router.core.values import Health, RuledOut, ServedModel

_MAYBE_OUT: Final = frozenset({Health.DRAINING, Health.EJECTED})


def eligible_of(
    state: RouterState, free: Iterable[Instance], job: Job, now: float
) -> list[Instance]:
    """List the instances with a free slot that can have a job now, in their order."""
    name = job.model_name
    is_plain = not (job.attempt or job.has_text or job.revision is not None)
    if name is None or not is_plain:
        return [i for i in free if ruled_out(state, i, job, now, is_fail_open=False) is None]
    # `ruled_out` for a job that nobody has begun, in one loop: a sixth of a decision over 20.
    eligible = []
    least = job.least_prompt_tokens
    for instance in free:
        model = instance.models.get(name)
        if model is None or least >= model.context_tokens:
            continue
        is_doubtful = instance.record.health in _MAYBE_OUT
        if is_doubtful and ruled_out(state, instance, job, now, is_fail_open=False):
            continue
        eligible.append(instance)
    return eligible


def ruled_out(
    state: RouterState, instance: Instance, job: Job, now: float, *, is_fail_open: bool
) -> RuledOut | None:
    """Tell why an instance can't have a job now; None when it can."""
    # The commonest reason first: most of a busy fleet is full. And an instance that still winds
    # up an older attempt can't have the same job again.
    if len(instance.open_jobs) >= instance.slots or job.job_id in instance.open_jobs:
        return RuledOut.NO_FREE_SLOT
    reason = unfit(state, instance, job)
    if reason is None and instance.record.health is Health.EJECTED and not is_fail_open:
        is_half_open = now >= instance.record.ejected_until and not instance.open_jobs
        return None if is_half_open else RuledOut.EJECTED
    return reason


def unfit(state: RouterState, instance: Instance, job: Job) -> RuledOut | None:
    """Tell why an instance can't have a job however long it waits; None when it could."""
    model_name = model_for(state, instance, job)
    if model_name is None:
        is_pausing = _model_among(state, instance.paused, job) is not None
        return RuledOut.PAUSED if is_pausing else RuledOut.MODEL_NOT_SERVED
    record = instance.record
    if record.health is Health.DRAINING:
        return RuledOut.DRAINING
    if job.failures and job.has_failed_on(record.instance_id):
        return RuledOut.FAILED_THIS_JOB
    return _unable(instance.models[model_name], job)


def may_come_back(state: RouterState, instance: Instance, job: Job) -> bool:
    """Whether a pausing instance could have a job once it serves again."""
    model_name = _model_among(state, instance.paused, job)
    is_coming = model_name is not None and not instance.is_draining
    return is_coming and _unable(instance.paused[model_name or ""], job) is None


def model_for(state: RouterState, instance: Instance, job: Job) -> str | None:
    """Return the model with which an instance would answer a job; None when it can't."""
    return _model_among(state, instance.models, job)


def _unable(model: ServedModel, job: Job) -> RuledOut | None:
    if job.has_text and not model.can_continue:
        return RuledOut.CANNOT_CONTINUE
    if job.least_prompt_tokens >= model.context_tokens:
        return RuledOut.CONTEXT_TOO_SHORT
    return None


def _model_among(state: RouterState, models: dict[str, ServedModel], job: Job) -> str | None:
    if job.model_name is None:
        allowed = (name for name in models if name not in state.forbidden_models)
        return next(allowed, None)
    model = models.get(job.model_name)
    if model is None or (job.revision is not None and model.revision != job.revision):
        return None
    return job.model_name
