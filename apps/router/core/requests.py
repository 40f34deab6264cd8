"""Jobs are handed in, make progress, are cancelled and run out of time. Pure."""

from apps.router.core.effects import CancelAttempt, Effect, FinishJob, RefuseJob, ShowPlace
from apps.router.core.endings import end_job
from apps.router.core.events import JobCancelled, JobProgressed, JobSubmitted, ModelsKnown
from apps.router.core.state import Job, JobState, RouterState
from apps.router.core.values import Refusal


def job_submitted(state: RouterState, event: JobSubmitted, now: float) -> list[Effect]:
    """Queue a job, or refuse it with a reason."""
    refused = _refusal(state, event)
    if refused is not None:
        return [refused]
    state.jobs[event.job_id] = Job(
        job_id=event.job_id,
        requester=event.requester,
        service_class=event.service_class,
        model_name=event.model_name,
        may_wait_for_instance=event.may_wait_for_instance,
        queued_at=now,
    )
    state.queue.append(event.job_id, event.service_class)
    return []


def job_cancelled(state: RouterState, event: JobCancelled, now: float) -> list[Effect]:
    """End a job for its reader; its instance is told, and keeps the slot until it has stopped."""
    job = state.jobs.get(event.job_id)
    if job is None:
        return []
    effects: list[Effect] = [FinishJob(job.job_id, "cancelled")]
    if job.session is not None:
        effects.append(CancelAttempt(job.session, job.job_id, job.attempt, event.reason))
    end_job(state, job)
    return effects


def job_progressed(state: RouterState, event: JobProgressed, now: float) -> list[Effect]:
    """Note that text was shown: from now on only an instance that can continue may have the job."""
    job = state.jobs.get(event.job_id)
    if job is not None and job.attempt == event.attempt:
        job.has_text = True
        if job.session is not None:
            instance = state.instances[job.session]
            instance.missing_heartbeats.pop(job.job_id, None)
            instance.last_heard_at = now
    return []


def models_known(state: RouterState, event: ModelsKnown, now: float) -> list[Effect]:
    """Note models that have been served before."""
    state.known_models.update(event.names)
    return []


def refuse_overdue(state: RouterState, now: float) -> list[Effect]:
    """Refuse each job that has waited too long."""
    effects: list[Effect] = []
    for job_id in list(state.queue):
        job = state.jobs[job_id]
        is_person = job.may_wait_for_instance
        bound = state.settings.max_wait_s if is_person else state.settings.max_wait_program_s
        if now - job.queued_at > bound:
            end_job(state, job)
            detail = f"no instance was free for {bound:g} s"
            effects.append(RefuseJob(job_id, Refusal.QUEUE_TIMEOUT, detail))
    return effects


def show_places(state: RouterState) -> list[Effect]:
    """Tell each waiting job its place, where that has changed."""
    effects: list[Effect] = []
    waiting = len(state.queue)
    online: dict[str | None, int] = {}
    for place, job_id in enumerate(state.queue, start=1):
        job = state.jobs[job_id]
        if job.model_name not in online:
            online[job.model_name] = len(state.serving(job.model_name))
        shown = (place, waiting, online[job.model_name])
        if job.shown_place != shown:
            job.shown_place = shown
            effects.append(ShowPlace(job_id, *shown))
    return effects


def show_place_of(state: RouterState, job_id: str) -> list[Effect]:
    """Tell a job that was just handed in its place, if it has to wait."""
    job = state.jobs.get(job_id)
    if job is None or job.state is not JobState.QUEUED:
        return []
    place = next(n for n, waiting in enumerate(state.queue, start=1) if waiting == job_id)
    job.shown_place = (place, len(state.queue), len(state.serving(job.model_name)))
    return [ShowPlace(job_id, *job.shown_place)]


def _refusal(state: RouterState, event: JobSubmitted) -> RefuseJob | None:
    settings = state.settings
    if event.model_name is not None and event.model_name not in state.known_models:
        detail = f"the model {event.model_name!r} does not exist"
        return RefuseJob(event.job_id, Refusal.MODEL_NOT_FOUND, detail)
    if not event.may_wait_for_instance and not state.serving(event.model_name):
        detail = "no instance that serves this model is connected"
        return RefuseJob(
            event.job_id, Refusal.NO_INSTANCE, detail, retry_after_s=settings.no_instance_retry_s
        )
    if state.queue.count(event.service_class) >= settings.max_queued_per_class:
        detail = "too many requests are waiting"
        return RefuseJob(
            event.job_id, Refusal.QUEUE_FULL, detail, retry_after_s=settings.queue_full_retry_s
        )
    return None
