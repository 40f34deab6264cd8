"""Jobs are handed in, make progress, are cancelled and run out of time. Pure."""

from typing import Final

from apps.router.core import catalog, learning
from apps.router.core.effects import CancelAttempt, Effect, FinishJob, RefuseJob
from apps.router.core.endings import end_job, is_anybody_left, record_end
from apps.router.core.events import (
    JobCancelled,
    JobProgressed,
    JobSubmitted,
    ModelsKnown,
    RequesterLeft,
    TokensCounted,
)
from apps.router.core.instances import Instance
from apps.router.core.state import Job, RouterState
from apps.router.core.values import AttemptOutcome, Refusal

_NOBODY_GOES_ON: Final = "no connected instance can go on from a partial answer"


def job_submitted(state: RouterState, event: JobSubmitted, now: float) -> list[Effect]:
    """Queue a job, or refuse it with a reason; one that is told anew was taken before."""
    target = catalog.resolve(state, event.model_name)
    model_name = target.model_name if target else event.model_name
    revision = target.revision if target else None
    before = event.last_attempt or 0
    if event.last_attempt is None and (refused := _refusal(state, event, model_name, revision)):
        return [refused]
    state.jobs[event.job_id] = Job(
        job_id=event.job_id,
        requester=event.requester,
        service_class=event.service_class,
        asked_model=event.model_name,
        model_name=model_name,
        revision=revision,
        may_wait_for_instance=event.may_wait_for_instance,
        prompt_tokens=event.prompt_tokens,
        least_prompt_tokens=event.least_prompt_tokens,
        conversation=event.conversation,
        queued_at=now,
        attempt=before,
        excused_count=before,
        has_text=event.has_text,
    )
    _queue(state, event, now)
    return []


def _queue(state: RouterState, event: JobSubmitted, now: float) -> None:
    """Let a job wait; one that was begun already comes first, as if it had been interrupted."""
    settings, user = state.settings, event.requester
    state.has_news = True
    if event.last_attempt:
        state.queue.put_first(event.job_id, event.service_class, user=user)
        return
    cost = settings.input_weight * event.prompt_tokens
    cost += settings.output_weight * settings.usual_output_tokens
    state.queue.append(event.job_id, event.service_class, user=user, cost=cost, now=now)


def job_cancelled(state: RouterState, event: JobCancelled, now: float) -> list[Effect]:
    """End a job for its reader; its instance is told, and keeps the slot until it has stopped."""
    job = state.jobs.get(event.job_id)
    if job is None:
        return []
    effects: list[Effect] = [FinishJob(job.job_id, "cancelled")]
    if job.session is not None:
        effects.append(CancelAttempt(job.session, job.job_id, job.attempt, event.reason))
    effects += record_end(state, job, AttemptOutcome.CANCELLED, now)
    end_job(state, job)
    return effects


def requester_left(state: RouterState, event: RequesterLeft, now: float) -> list[Effect]:
    """End all jobs of one who asks for no more."""
    mine = [job.job_id for job in state.jobs.values() if job.requester == event.requester]
    return [
        effect
        for job_id in mine
        for effect in job_cancelled(state, JobCancelled(job_id, event.reason), now)
    ]


def job_progressed(state: RouterState, event: JobProgressed, now: float) -> list[Effect]:
    """Note that tokens came; once text was shown only an instance that can continue may have it."""
    job = state.jobs.get(event.job_id)
    if job is None or job.attempt != event.attempt:
        return []
    job.has_text = job.has_text or event.has_text
    if job.session is not None and job.running is not None:
        instance = state.instances[job.session]
        instance.missing_heartbeats.pop(job.job_id, None)
        instance.last_heard_at = now
        learning.progressed(state, instance, job, job.running, event.tokens, now)
    return []


def tokens_counted(state: RouterState, event: TokensCounted, now: float) -> list[Effect]:
    """Note what an attempt that is about to end has given: its user is charged for that."""
    job = state.jobs.get(event.job_id)
    if job is not None and job.attempt == event.attempt and job.running is not None:
        job.running.counted_tokens = event.tokens
    return []


def models_known(state: RouterState, event: ModelsKnown, now: float) -> list[Effect]:
    """Note models that have been served before."""
    state.remember_models(event.names)
    return []


def redraw_targets(state: RouterState) -> None:
    """Draw again for waiting jobs that asked for an alias, when nobody serves what they drew."""
    if not state.aliases:
        return
    for job_id in state.queue.entries:
        job = state.jobs[job_id]
        if job.attempt or job.asked_model not in state.aliases:
            continue
        if state.is_served(job.model_name, job.revision):
            continue
        target = catalog.resolve(state, job.asked_model)
        if target is not None:
            job.model_name, job.revision = target.model_name, target.revision


def refuse_overdue(state: RouterState, now: float) -> list[Effect]:
    """Refuse each job that has waited too long, or that nobody is left to go on with."""
    effects: list[Effect] = []
    for job_id in list(state.queue.entries):
        job = state.jobs[job_id]
        is_person = job.may_wait_for_instance
        bound = state.settings.max_wait_s if is_person else state.settings.max_wait_program_s
        if now - job.queued_at > bound:
            end_job(state, job)
            detail = f"no instance was free for {bound:g} s"
            effects.append(RefuseJob(job_id, Refusal.QUEUE_TIMEOUT, detail))
        elif _nobody_goes_on(state, job, now):
            end_job(state, job)
            effects.append(RefuseJob(job_id, Refusal.INSTANCES_FAILED, _NOBODY_GOES_ON))
    return effects


def _nobody_goes_on(state: RouterState, job: Job, now: float) -> bool:
    """Whether an interrupted job waits while each connected instance has failed it or can't go on.

    Its last instance may be back in a moment; where there is none at all, the next may be able.
    """
    if not (job.has_text or job.failures) or now - job.queued_at <= state.settings.come_back_s:
        return False
    is_served = state.is_served(job.model_name, job.revision)
    return is_served and not is_anybody_left(state, job)


def _can_go_on(instance: Instance, model_name: str | None) -> bool:
    return any(
        model.can_continue
        for name, model in instance.models.items()
        if model_name is None or name == model_name
    )


def _refusal(
    state: RouterState, event: JobSubmitted, model_name: str | None, revision: str | None
) -> RefuseJob | None:
    settings = state.settings
    is_forbidden = bool({event.model_name, model_name} & state.forbidden_models)
    if is_forbidden or (model_name is not None and not state.is_known(model_name)):
        detail = f"the model {event.model_name!r} does not exist"
        return RefuseJob(event.job_id, Refusal.MODEL_NOT_FOUND, detail)
    if not event.may_wait_for_instance and not state.is_served(model_name, revision):
        detail = "no instance that serves this model is connected"
        return RefuseJob(
            event.job_id, Refusal.NO_INSTANCE, detail, retry_after_s=settings.no_instance_retry_s
        )
    serving = state.serving(model_name, revision) if event.has_text else []
    if serving and not any(_can_go_on(instance, model_name) for instance in serving):
        return RefuseJob(event.job_id, Refusal.INSTANCES_FAILED, _NOBODY_GOES_ON)
    longest = catalog.context_for(state, event.least_prompt_tokens, model_name, revision)
    if longest is not None and event.least_prompt_tokens >= longest:
        detail = f"the conversation has at least {event.least_prompt_tokens} tokens, and no "
        detail += f"connected instance reads more than {longest}: shorten it"
        return RefuseJob(event.job_id, Refusal.CONTEXT_LENGTH_EXCEEDED, detail)
    if state.queue.count(event.service_class) >= settings.max_queued_per_class:
        detail = "too many requests are waiting"
        return RefuseJob(
            event.job_id, Refusal.QUEUE_FULL, detail, retry_after_s=settings.queue_full_retry_s
        )
    return None
