"""Instances come, speak, change, fall silent and go. Pure."""

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
from apps.router.core.state import Instance, JobState, RouterState
from apps.router.core.values import Offer, ServedModel

_REPLACED = 4002
_SILENT = 4000


def instance_joined(state: RouterState, event: InstanceJoined, now: float) -> list[Effect]:
    """Take an instance in, and take up again what it still holds and nobody else got."""
    effects: list[Effect] = []
    for older in list(state.instances.values()):
        if older.instance_id == event.instance_id:
            effects.append(CloseLink(older.session, _REPLACED, "a newer connection replaced this"))
            effects += remove_instance(state, older, now)
    instance = Instance(
        session=event.session,
        instance_id=event.instance_id,
        name=event.name,
        models=_by_name(event.models),
        slots=event.slots,
        joined_at=now,
        last_heard_at=now,
    )
    state.instances[event.session] = instance
    state.known_models.update(instance.models)
    resumed = tuple(offer for offer in event.offers if _take_up(state, instance, offer))
    dropped = tuple(offer.job_id for offer in event.offers if offer not in resumed)
    return [*effects, WelcomeInstance(event.session, resumed, dropped)]


def instance_changed(state: RouterState, event: InstanceChanged, now: float) -> list[Effect]:
    """Note what the instance serves from now on; what it runs goes on."""
    if instance := state.instances.get(event.session):
        instance.models = _by_name(event.models)
        instance.slots = event.slots
        instance.last_heard_at = now
        state.known_models.update(instance.models)
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
    instance.slots = event.slots
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
            effects += attempt_lost(state, job_id, instance.session, now)
    return effects


def instance_draining(state: RouterState, event: InstanceDraining, now: float) -> list[Effect]:
    """Give the instance no more jobs."""
    if instance := state.instances.get(event.session):
        instance.is_draining = True
        instance.last_heard_at = now
    return []


def link_broken(state: RouterState, event: LinkBroken, now: float) -> list[Effect]:
    """Bring the jobs of a broken link back to the queue."""
    instance = state.instances.get(event.session)
    return remove_instance(state, instance, now) if instance else []


def close_silent_links(state: RouterState, now: float) -> list[Effect]:
    """Close each link that has been silent for too long."""
    effects: list[Effect] = []
    for instance in list(state.instances.values()):
        if now - instance.last_heard_at > state.settings.silence_s:
            reason = f"silent: no frame for {state.settings.silence_s:g} s"
            effects.append(CloseLink(instance.session, _SILENT, reason))
            effects += remove_instance(state, instance, now)
    return effects


def remove_instance(state: RouterState, instance: Instance, now: float) -> list[Effect]:
    """Forget an instance; its jobs wait again, before all others, oldest first."""
    del state.instances[instance.session]
    effects: list[Effect] = []
    for job_id in reversed(instance.open_jobs):
        effects += attempt_lost(state, job_id, instance.session, now)
    return effects


def _take_up(state: RouterState, instance: Instance, offer: Offer) -> bool:
    job = state.jobs.get(offer.job_id)
    if (
        job is None
        or job.state is not JobState.QUEUED
        or job.attempt != offer.attempt
        or job.owner_id != instance.instance_id
        or job.job_id in instance.open_jobs
    ):
        return False
    state.queue.remove(job.job_id, job.service_class)
    job.move(JobState.RUNNING)
    job.session = instance.session
    job.shown_place = None
    instance.open_jobs[job.job_id] = job.attempt
    return True


def _by_name(models: tuple[ServedModel, ...]) -> dict[str, ServedModel]:
    return {model.name: model for model in models}
