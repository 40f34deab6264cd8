"""How attempts and jobs end. Pure."""

from apps.router.core.effects import Effect, FinishJob, RefuseJob, RequeueJob
from apps.router.core.events import AttemptDone, AttemptFailed
from apps.router.core.state import Job, JobState, RouterState
from apps.router.core.values import FailureCode, Refusal

_FINAL_FAILURES = {
    FailureCode.BAD_REQUEST: Refusal.REFUSED_BY_INSTANCE,
    FailureCode.UNSUPPORTED: Refusal.REFUSED_BY_INSTANCE,
    FailureCode.CONTEXT_OVERFLOW: Refusal.CONTEXT_LENGTH_EXCEEDED,
}


def attempt_done(state: RouterState, event: AttemptDone, now: float) -> list[Effect]:
    """End a job whose owner says that it is complete."""
    job = _close_attempt(state, event.session, event.job_id, event.attempt)
    if job is None:
        return []
    if event.finish_reason == "cancelled":  # nobody asked for it: the instance gave up
        return _try_elsewhere(state, job, "the instance gave up", now)
    end_job(state, job)
    return [FinishJob(job.job_id, event.finish_reason)]


def attempt_failed(state: RouterState, event: AttemptFailed, now: float) -> list[Effect]:
    """End a job that can't be answered anywhere; try any other on another instance."""
    job = _close_attempt(state, event.session, event.job_id, event.attempt)
    if job is None:
        return []
    refusal = _FINAL_FAILURES.get(event.code)
    if refusal is not None:
        end_job(state, job)
        return [RefuseJob(job.job_id, refusal, event.message)]
    return _try_elsewhere(state, job, event.message, now)


def attempt_lost(state: RouterState, job_id: str, session: str, now: float) -> list[Effect]:
    """Requeue a job whose instance is gone or has forgotten it; others' jobs stay as they are."""
    job = state.jobs.get(job_id)
    if job is None or job.session != session:
        return []
    return _requeue(state, job, "the connection to the instance was lost", now)


def end_job(state: RouterState, job: Job) -> None:
    """Forget a job. A slot that an instance still holds for it stays counted there."""
    if job.state is JobState.QUEUED:
        state.queue.remove(job.job_id, job.service_class)
    job.move(JobState.ENDED)
    job.session = None
    del state.jobs[job.job_id]


def _close_attempt(state: RouterState, session: str, job_id: str, attempt: int) -> Job | None:
    """Free the slot; return the job if that attempt is still its own."""
    instance = state.instances.get(session)
    if instance is None or not instance.close_job(job_id, attempt):
        return None
    job = state.jobs.get(job_id)
    is_owner = job is not None and job.session == session and job.attempt == attempt
    return job if is_owner else None


def _try_elsewhere(state: RouterState, job: Job, detail: str, now: float) -> list[Effect]:
    if job.owner_id is not None:
        job.failed_on.add(job.owner_id)
    others = [i for i in state.serving(job.model_name) if i.instance_id not in job.failed_on]
    if not others:
        return _give_up(state, job, detail)
    return _requeue(state, job, detail, now)


def _requeue(state: RouterState, job: Job, detail: str, now: float) -> list[Effect]:
    if job.attempt >= state.settings.max_attempts:
        return _give_up(state, job, detail)
    job.move(JobState.QUEUED)
    job.session = None
    job.queued_at = now
    state.queue.put_first(job.job_id, job.service_class)
    return [RequeueJob(job.job_id)]


def _give_up(state: RouterState, job: Job, detail: str) -> list[Effect]:
    end_job(state, job)
    return [RefuseJob(job.job_id, Refusal.INSTANCES_FAILED, detail)]
