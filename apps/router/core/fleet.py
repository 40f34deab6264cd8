"""Instances come, speak, change and go. Pure."""

from apps.router.core import health
from apps.router.core.effects import CloseLink, Effect, WelcomeInstance
from apps.router.core.endings import attempt_lost
from apps.router.core.events import (
    HeartbeatReceived,
    InstanceChanged,
    InstanceDraining,
    InstanceHeard,
    InstanceJoined,
    LinkBroken,
)
from apps.router.core.instances import Instance, InstanceRecord
from apps.router.core.learning import begin
from apps.router.core.state import JobState, RouterState
from apps.router.core.values import AttemptOutcome, Health, Offer, ServedModel

_REPLACED = 4002


def instance_joined(state: RouterState, event: InstanceJoined, now: float) -> list[Effect]:
    """Take an instance in, and take up again what it still holds and nobody else got."""
    effects: list[Effect] = []
    for older in list(state.instances.values()):
        if older.instance_id == event.instance_id:
            effects.append(close_replaced(older))
            effects += remove_instance(state, older, AttemptOutcome.LINK_LOST, now)
    instance = Instance(
        session=event.session,
        record=_record(state, event),
        models=_by_name(event.models),
        slots=event.slots,
        joined_at=now,
        last_heard_at=now,
        region=event.region,
    )
    state.instances[event.session] = instance
    state.remember_models(instance.models)
    state.fleet_changed()
    resumed = tuple(offer for offer in event.offers if _take_up(state, instance, offer, now))
    dropped = tuple(offer.job_id for offer in event.offers if offer not in resumed)
    return [*effects, WelcomeInstance(event.session, resumed, dropped)]


def close_replaced(older: Instance) -> CloseLink:
    """Close the older link of an instance that has another."""
    return CloseLink(older.session, _REPLACED, "a newer connection replaced this")


def instance_changed(state: RouterState, event: InstanceChanged, now: float) -> list[Effect]:
    """Note what the instance serves from now on; what it runs goes on.

    Nothing: it pauses. When it serves again its engine is a new one, which has failed nobody yet.
    """
    if instance := state.instances.get(event.session):
        models = _by_name(event.models)
        if models and instance.is_paused:
            _end_pause(state, instance, now)
        elif not models and not instance.is_paused:
            instance.paused, instance.is_pause_blamed = instance.models, False
        instance.models = models
        instance.slots = event.slots
        instance.last_heard_at = now
        state.remember_models(instance.models)
        state.fleet_changed()
    return []


def instance_heard(state: RouterState, event: InstanceHeard, now: float) -> list[Effect]:
    """Note that the link lives."""
    if instance := state.instances.get(event.session):
        instance.last_heard_at = now
    return []


def heartbeat_received(state: RouterState, event: HeartbeatReceived, now: float) -> list[Effect]:
    """Compare the instance's set of jobs with ours: a leaked slot comes back, a lost job too."""
    instance = state.instances.get(event.session)
    if instance is None:
        return []
    instance.last_heard_at = now
    if instance.slots != event.slots:
        instance.slots = event.slots
        state.fleet_changed()
    health.spoke(state, instance)
    if not instance.open_jobs:
        return []
    running = frozenset(event.running)
    effects: list[Effect] = []
    for job_id, attempt in list(instance.open_jobs.items()):
        if job_id in running:
            instance.missing_heartbeats.pop(job_id, None)
            continue
        missing = instance.missing_heartbeats.get(job_id, 0) + 1
        instance.missing_heartbeats[job_id] = missing
        if missing >= state.settings.lost_after_heartbeats:
            instance.close_job(job_id, attempt)
            state.has_news = True
            effects += attempt_lost(state, job_id, instance.session, AttemptOutcome.FORGOTTEN, now)
    return effects


def instance_draining(state: RouterState, event: InstanceDraining, now: float) -> list[Effect]:
    """Give the instance no more jobs."""
    if instance := state.instances.get(event.session):
        if not instance.is_draining:
            instance.record.move(Health.DRAINING)
            state.fleet_changed()
        instance.last_heard_at = now
    return []


def link_broken(state: RouterState, event: LinkBroken, now: float) -> list[Effect]:
    """Bring the jobs of a broken link back to the queue."""
    instance = state.instances.get(event.session)
    if instance is None:
        return []
    outcome = AttemptOutcome.LINK_LOST
    return remove_instance(state, instance, outcome, now, is_ours=event.is_ours)


def remove_instance(
    state: RouterState,
    instance: Instance,
    outcome: AttemptOutcome,
    now: float,
    *,
    is_ours: bool = False,
) -> list[Effect]:
    """Forget a link; its jobs wait again, before all others, oldest first."""
    del state.instances[instance.session]
    instance.record.move(Health.GONE)
    instance.record.gone_at = now
    state.fleet_changed()
    effects: list[Effect] = []
    for job_id in instance.open_jobs:
        effects += attempt_lost(state, job_id, instance.session, outcome, now, is_ours=is_ours)
    return effects


def _record(state: RouterState, event: InstanceJoined) -> InstanceRecord:
    """Return the instance's record, which outlives its links."""
    record = state.records.get(event.instance_id)
    if record is None:
        record = state.records[event.instance_id] = InstanceRecord(event.instance_id, event.name)
        return record
    # An ejection ends with an answer: who comes back after its time is still half-open.
    record.move(Health.JOINING if record.ejected_by is None else Health.EJECTED)
    record.name = event.name
    record.gone_at = None
    return record


def _end_pause(state: RouterState, instance: Instance, now: float) -> None:
    instance.paused, instance.serves_since = {}, now
    for job in state.jobs.values():
        for failure in job.failures:
            failure.is_past = failure.is_past or failure.instance_id == instance.instance_id


def _take_up(state: RouterState, instance: Instance, offer: Offer, now: float) -> bool:
    job = state.jobs.get(offer.job_id)
    if (
        job is None
        or job.state is not JobState.QUEUED
        or job.attempt != offer.attempt
        or job.owner_id != instance.instance_id
        or job.has_failed_on(instance.instance_id)
        or job.job_id in instance.open_jobs
    ):
        return False
    entry = state.queue.remove(job.job_id)
    state.queue.started(entry, was_interrupted=True, now=now)
    job.move(JobState.RUNNING)
    job.session = instance.session
    job.running = begin(state, instance, job, job.model_name or "", now)
    job.running.is_resumed = True
    job.running.tokens = job.last_tokens
    job.given_tokens -= job.last_tokens
    job.shown_place = None
    instance.open_jobs[job.job_id] = job.attempt
    return True


def _by_name(models: tuple[ServedModel, ...]) -> dict[str, ServedModel]:
    return {model.name: model for model in models}
