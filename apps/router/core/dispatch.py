"""Gives waiting jobs to instances with a free slot, and says why. Pure."""

from apps.router.core.effects import AssignJob, Effect, RecordDecision
from apps.router.core.state import Instance, Job, JobState, RouterState
from apps.router.core.values import Candidate, Decision, RuledOut


def dispatch_waiting(state: RouterState, now: float) -> list[Effect]:
    """Assign every waiting job that some instance can take, in the order of the queue."""
    effects: list[Effect] = []
    hopeless: set[tuple[str | None, bool]] = set()
    for job_id in list(state.queue):
        if not any(instance.has_free_slot for instance in state.instances.values()):
            break
        job = state.jobs[job_id]
        kind = (job.model_name, job.has_text)
        if kind in hopeless and not job.failed_on:
            continue
        candidates = [_weigh(instance, job) for instance in state.instances.values()]
        eligible = [candidate for candidate in candidates if candidate.ruled_out is None]
        if eligible:
            winner = state.rule.pick(eligible)
            effects += _assign(state, job, candidates, winner, now)
        elif not job.failed_on:
            hopeless.add(kind)
    return effects


def _weigh(instance: Instance, job: Job) -> Candidate:
    return Candidate(
        session=instance.session,
        name=instance.name,
        open_jobs=len(instance.open_jobs),
        slots=instance.slots,
        load=instance.load,
        last_assigned=instance.last_assigned,
        ruled_out=_ruled_out(instance, job),
    )


def _ruled_out(instance: Instance, job: Job) -> RuledOut | None:
    model = _model_for(instance, job)
    if model is None:
        return RuledOut.MODEL_NOT_SERVED
    if instance.is_draining:
        return RuledOut.DRAINING
    if instance.instance_id in job.failed_on:
        return RuledOut.FAILED_THIS_JOB
    if job.has_text and not instance.models[model].can_continue:
        return RuledOut.CANNOT_CONTINUE
    # A slot per job id: an instance that still winds up an older attempt can't have it again.
    if not instance.has_free_slot or job.job_id in instance.open_jobs:
        return RuledOut.NO_FREE_SLOT
    return None


def _model_for(instance: Instance, job: Job) -> str | None:
    if job.model_name is None:
        return next(iter(instance.models), None)
    return job.model_name if job.model_name in instance.models else None


def _assign(
    state: RouterState, job: Job, candidates: list[Candidate], winner: Candidate, now: float
) -> list[Effect]:
    instance = state.instances[winner.session]
    model_name = _model_for(instance, job)
    if model_name is None:  # ruled out before
        return []
    state.queue.remove(job.job_id, job.service_class)
    state.assignments_count += 1
    waited_s = now - job.queued_at
    job.move(JobState.RUNNING)
    job.attempt += 1
    job.session = instance.session
    job.owner_id = instance.instance_id
    job.model_name = model_name
    job.shown_place = None
    instance.open_jobs[job.job_id] = job.attempt
    instance.last_assigned = state.assignments_count
    decision = Decision(
        job_id=job.job_id,
        attempt=job.attempt,
        at=now,
        waited_s=waited_s,
        rule=state.rule.name,
        model_name=model_name,
        service_class=job.service_class,
        candidates=tuple(candidates),
        winner=winner.name,
    )
    return [
        RecordDecision(decision),
        AssignJob(job.job_id, job.attempt, instance.session, model_name),
    ]
