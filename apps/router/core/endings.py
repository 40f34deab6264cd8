"""How attempts and jobs end. Pure."""

from apps.router.core import health, learning
from apps.router.core.effects import (
    CancelAttempt,
    Effect,
    FinishJob,
    RecordAttemptEnd,
    RefuseJob,
    RequeueJob,
)
from apps.router.core.eligibility import may_come_back, unfit
from apps.router.core.events import AttemptDone, AttemptFailed, AttemptLost
from apps.router.core.instances import Instance
from apps.router.core.state import Failure, Job, JobState, RouterState
from apps.router.core.values import AttemptEnded, AttemptOutcome, FailureCode, Refusal

_FINAL_FAILURES = {
    FailureCode.BAD_REQUEST: Refusal.REFUSED_BY_INSTANCE,
    FailureCode.UNSUPPORTED: Refusal.REFUSED_BY_INSTANCE,
    FailureCode.CONTEXT_OVERFLOW: Refusal.CONTEXT_LENGTH_EXCEEDED,
}


def attempt_done(state: RouterState, event: AttemptDone, now: float) -> list[Effect]:
    """End a job whose owner says that it is complete."""
    owned = _close_attempt(state, event.session, event.job_id, event.attempt)
    if owned is None:
        return []
    job, instance = owned
    if event.finish_reason == "cancelled":  # nobody asked for it: the instance gave up
        return attempt_failed_with(
            state, job, instance, AttemptOutcome.GAVE_UP, "the instance gave up", now
        )
    attempt = job.running
    if attempt is not None:
        tokens = event.completion_tokens or attempt.tokens
        attempt.tokens = tokens
        health.succeeded(state, instance, job.model_name or "")
        learning.answered(
            state,
            instance,
            job,
            attempt,
            tokens=tokens,
            prompt_tokens=event.prompt_tokens,
            cached_tokens=event.cached_tokens,
            now=now,
        )
    ended = record_end(state, job, AttemptOutcome.DONE, now)
    end_job(state, job)
    return [*ended, FinishJob(job.job_id, event.finish_reason)]


def attempt_failed(state: RouterState, event: AttemptFailed, now: float) -> list[Effect]:
    """End a job that can't be answered anywhere; try any other on another instance."""
    owned = _close_attempt(state, event.session, event.job_id, event.attempt)
    if owned is None:
        return []
    job, instance = owned
    refusal = _FINAL_FAILURES.get(event.code)
    if refusal is not None:
        ended = record_end(state, job, AttemptOutcome.REFUSED, now)
        end_job(state, job)
        return [*ended, RefuseJob(job.job_id, refusal, event.message)]
    is_overload = event.code is FailureCode.OVERLOADED
    outcome = AttemptOutcome.OVERLOADED if is_overload else AttemptOutcome.FAILED
    return attempt_failed_with(state, job, instance, outcome, event.message, now)


def attempt_gone(state: RouterState, event: AttemptLost, now: float) -> list[Effect]:
    """Requeue a job whose attempt can't go on; its slot counts until the instance has stopped."""
    job = state.jobs.get(event.job_id)
    if job is None or job.session != event.session or job.attempt != event.attempt:
        return []
    cancel = CancelAttempt(event.session, job.job_id, job.attempt, "the attempt can't go on")
    outcome = AttemptOutcome.FORGOTTEN
    return [cancel, *attempt_lost(state, job.job_id, event.session, outcome, now, is_ours=True)]


def attempt_late(
    state: RouterState, job: Job, instance: Instance, outcome: AttemptOutcome, now: float
) -> list[Effect]:
    """Take a job from an instance that does not get on; its slot stays counted until it says so."""
    cancel = CancelAttempt(instance.session, job.job_id, job.attempt, outcome.value)
    if outcome is AttemptOutcome.FIRST_TOKEN_LATE and job.running is not None:
        learning.came_late(instance, job, job.running, now)
    words = "the instance sent nothing for too long"
    return [cancel, *attempt_failed_with(state, job, instance, outcome, words, now)]


def attempt_lost(
    state: RouterState,
    job_id: str,
    session: str,
    outcome: AttemptOutcome,
    now: float,
    *,
    is_ours: bool = False,
) -> list[Effect]:
    """Requeue a job whose instance is gone or has forgotten it; others' jobs stay as they are.

    An attempt that the site's own processes cost (`is_ours`) does not count.
    """
    job = state.jobs.get(job_id)
    if job is None or job.session != session:
        return []
    job.excused_count += is_ours
    ended = record_end(state, job, outcome, now)
    return [*ended, *_requeue(state, job, "the connection to the instance was lost", now)]


def attempt_failed_with(
    state: RouterState,
    job: Job,
    instance: Instance,
    outcome: AttemptOutcome,
    detail: str,
    now: float,
) -> list[Effect]:
    """Blame the instance for now, and try another; without one the job ends.

    One that pauses is waited for as well, and is blamed once however many jobs it had. Of a pause
    that is over one may hear later than of its end.
    """
    is_past = job.running is not None and job.running.started_at < instance.serves_since
    is_counted = not (instance.is_pause_blamed and (instance.is_paused or is_past))
    instance.is_pause_blamed = instance.is_paused or is_past
    job.failures.append(Failure(instance.instance_id, outcome, is_past, is_counted))
    if is_counted:
        if job.running is not None:
            learning.failed(state, instance, job.running, now)
        health.failed(state, instance.record, job, now)
    ended = record_end(state, job, outcome, now)
    if not is_anybody_left(state, job) and not _may_anybody_come_back(state, job):
        return [*ended, *_give_up(state, job, detail)]
    return [*ended, *_requeue(state, job, detail, now)]


def is_anybody_left(state: RouterState, job: Job) -> bool:
    """Whether any connected instance could have the job, now or later."""
    return any(unfit(state, instance, job) is None for instance in state.instances.values())


def _may_anybody_come_back(state: RouterState, job: Job) -> bool:
    return any(may_come_back(state, instance, job) for instance in state.instances.values())


def record_end(state: RouterState, job: Job, outcome: AttemptOutcome, now: float) -> list[Effect]:
    """Close the running attempt and keep why it ended; nothing when none runs."""
    if job.running is None or job.owner_id is None:
        return []
    tokens = max(job.running.tokens, job.running.counted_tokens)
    job.given_tokens += tokens
    job.last_tokens = tokens
    job.running = None
    state.has_news = True
    state.queue.stopped(job.service_class, job.requester)
    name = state.records[job.owner_id].name
    return [RecordAttemptEnd(AttemptEnded(job.job_id, job.attempt, now, name, outcome, tokens))]


def end_job(state: RouterState, job: Job) -> None:
    """Forget a job. A slot that an instance still holds for it stays counted there."""
    if job.state is JobState.QUEUED:
        state.queue.remove(job.job_id)
    settings = state.settings
    if job.attempt:
        read = settings.input_weight * job.prompt_tokens
        owed = read + settings.output_weight * job.given_tokens
        queue = state.queue.classes[job.service_class]
        queue.settle(job.requester, owed=owed, advance=job.charged_tokens)
    job.move(JobState.ENDED)
    job.session = None
    del state.jobs[job.job_id]


def _close_attempt(
    state: RouterState, session: str, job_id: str, attempt: int
) -> tuple[Job, Instance] | None:
    """Free the slot; return the job and its instance if that attempt is still the job's own."""
    instance = state.instances.get(session)
    if instance is None or not instance.close_job(job_id, attempt):
        return None
    state.has_news = True
    job = state.jobs.get(job_id)
    is_owner = job is not None and job.session == session and job.attempt == attempt
    return (job, instance) if job is not None and is_owner else None


def _requeue(state: RouterState, job: Job, detail: str, now: float) -> list[Effect]:
    if job.attempt - job.excused_count >= state.settings.max_attempts:
        return _give_up(state, job, detail)
    job.move(JobState.QUEUED)
    job.session = None
    job.queued_at = now
    state.queue.put_first(job.job_id, job.service_class, user=job.requester)
    state.has_news = True
    return [RequeueJob(job.job_id)]


def _give_up(state: RouterState, job: Job, detail: str) -> list[Effect]:
    health.forgive(state, job)
    end_job(state, job)
    return [RefuseJob(job.job_id, Refusal.INSTANCES_FAILED, detail)]
