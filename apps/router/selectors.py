"""What plugins may read of the live router. Call from the event loop that it runs in."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from channels.db import database_sync_to_async

from apps.router.core.instances import Instance
from apps.router.core.places import jobs_per_s
from apps.router.core.settings import CoreSettings
from apps.router.core.state import Job, RouterState
from apps.router.core.values import Health, ServedModel, ServiceClass
from apps.router.live.links import InstanceLink
from apps.router.live.runtime import live_router
from apps.router.live.streams import JobStream
from apps.router.records import selectors as log
from apps.router.records import shares
from apps.router.records.attempts import Attempt, attempts_of


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceView:
    """One connected instance. `state`: its health, or "paused" while it serves nothing.

    `recent_failures` is weighted: each counts half as much after a while. `ejected_for_s` is None
    unless the instance is ejected, and 0 when it may have a request again to prove itself.
    """

    name: str
    operator: str
    credential_id: str
    state: str
    models: tuple[str, ...]
    slots: int
    running: tuple[str, ...]
    agent: str
    region: str | None
    connected_s: float
    last_heard_s: float
    consecutive_failures: int
    recent_failures: float
    ejected_for_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GoneView:
    """An instance that has left and may come back."""

    name: str
    gone_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueView:
    """One class. `interrupted` of the `waiting` jobs had an instance before.

    `oldest_wait_s` is None where nobody waits.
    """

    service_class: str
    waiting: int
    interrupted: int
    running: int
    oldest_wait_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobView:
    """One job that waits or runs. `place` is None once it runs."""

    job_id: str
    state: str
    service_class: str
    model_name: str | None
    place: int | None
    attempt: int
    instance_name: str | None
    age_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelView:
    """One model that connected instances serve now. `created_at`: seconds since the epoch.

    `revisions`: how many instances serve each; "" where one announced none.
    """

    name: str
    context_tokens: int
    max_output_tokens: int
    instances: int
    revisions: Mapping[str, int]
    created_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RouterView:
    """The live router at one moment.

    `health`: how many instances are in each state, those that have left included, in the order of
    an instance's life. `jobs_per_s`: how many jobs the connected instances end while all are busy;
    None before that is measured.
    """

    instances: tuple[InstanceView, ...]
    gone: tuple[GoneView, ...]
    health: Mapping[str, int]
    queue: tuple[QueueView, ...]
    jobs_per_s: float | None
    jobs: tuple[JobView, ...]
    models: tuple[ModelView, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessView:
    """What this web process carries: instances' links, and answers whose text it holds."""

    links: int
    streams: int


def process_view() -> ProcessView:
    """Return what this process carries now."""
    gateway = live_router().gateway
    running = sum(stream.ended is None for stream in gateway.streams.values())
    return ProcessView(links=len(gateway.links), streams=running)


def stream_find(*, job_id: str) -> JobStream | None:
    """Return a job's stream while the job lives and for a minute after its end."""
    return live_router().gateway.streams.get(job_id)


async def decisions_of_job(*, job_id: str) -> list[Attempt]:
    """Return a job's attempts, each with its decision and its end; empty when none is kept."""
    if entries := live_router().gateway.decisions.of_job(job_id):
        return attempts_of(entries)
    read = database_sync_to_async(log.log_entries_of_job, thread_sensitive=False)
    return attempts_of(await read(job_id=job_id))


async def decisions_latest(*, count: int) -> list[Attempt]:
    """Return the last decisions of the newest jobs, newest first."""
    if entries := live_router().gateway.decisions.latest_decisions(count):
        return attempts_of(entries)
    read = database_sync_to_async(log.log_latest_decisions, thread_sensitive=False)
    return attempts_of(await read(count=count))


def requests_by_model(*, asked_model: str, since: datetime) -> Mapping[tuple[str, str], int]:
    """Count the newest requests for a name by the model and revision that they went to.

    Reads the database and needs no live router: call it from a thread, not from the event loop.
    """
    return shares.requests_by_model(asked_model=asked_model, since=since)


def core_settings() -> CoreSettings:
    """Return the constants that the router runs with."""
    return live_router().gateway.settings


def router_view() -> RouterView:
    """Return what the router sees now."""
    router = live_router()
    state, now = router.service.state, router.service.clock()
    links = router.gateway.links
    instances = tuple(
        _instance_view(instance, links[instance.session], state.settings, now)
        for instance in state.instances.values()
        if instance.session in links
    )
    waiting = state.queue.in_order(now, state.settings)
    places = {entry.job_id: place for place, entry in enumerate(waiting, start=1)}
    jobs = tuple(
        _job_view(job, router.gateway.streams.get(job.job_id), places.get(job.job_id), now)
        for job in state.jobs.values()
    )
    return RouterView(
        instances=instances,
        gone=_gone_views(state, now),
        health=_health_counts(state),
        queue=_queue_views(state, now),
        jobs_per_s=jobs_per_s(state, state.serving(None), None) or None,
        jobs=jobs,
        models=_model_views(state, int(router.started_at)),
    )


def _gone_views(state: RouterState, now: float) -> tuple[GoneView, ...]:
    """List those that have left, the latest first."""
    gone = [
        GoneView(name=record.name, gone_s=now - record.gone_at)
        for record in state.records.values()
        if record.health is Health.GONE and record.gone_at is not None
    ]
    return tuple(sorted(gone, key=lambda one: one.gone_s))


def _health_counts(state: RouterState) -> dict[str, int]:
    counts = Counter(record.health for record in state.records.values())
    return {health.value: counts[health] for health in Health}


def _queue_views(state: RouterState, now: float) -> tuple[QueueView, ...]:
    views = []
    for service_class in ServiceClass:
        jobs = [job for job in state.jobs.values() if job.service_class is service_class]
        waiting = [job for job in jobs if job.job_id in state.queue]
        views.append(
            QueueView(
                service_class=service_class.value,
                waiting=len(waiting),
                interrupted=sum(job.attempt > 0 for job in waiting),
                running=len(jobs) - len(waiting),
                oldest_wait_s=max((now - job.queued_at for job in waiting), default=None),
            )
        )
    return tuple(views)


def _instance_view(
    instance: Instance, link: InstanceLink, settings: CoreSettings, now: float
) -> InstanceView:
    record = instance.record
    is_ejected = record.health is Health.EJECTED
    return InstanceView(
        name=instance.name,
        operator=link.admission.operator_email,
        credential_id=link.admission.credential_id,
        state="paused" if _shows_pause(instance) else record.health.value,
        models=tuple(instance.usual_models),
        slots=instance.slots,
        running=tuple(instance.open_jobs),
        agent=link.agent,
        region=link.region,
        connected_s=now - instance.joined_at,
        last_heard_s=now - instance.last_heard_at,
        consecutive_failures=record.consecutive_failures,
        recent_failures=round(record.recent_failures(now, settings.failure_half_life_s), 3),
        ejected_for_s=max(0.0, record.ejected_until - now) if is_ejected else None,
    )


def _shows_pause(instance: Instance) -> bool:
    return instance.is_paused and not instance.is_draining


def _job_view(job: Job, stream: JobStream | None, place: int | None, now: float) -> JobView:
    started = stream.started if stream and place is None else None
    return JobView(
        job_id=job.job_id,
        state=job.state,
        service_class=job.service_class,
        model_name=job.model_name,
        place=place,
        attempt=job.attempt,
        instance_name=started.instance_name if started else None,
        age_s=now - (stream.submitted_at if stream else job.queued_at),
    )


def _model_views(state: RouterState, created_at: int) -> tuple[ModelView, ...]:
    served: dict[str, list[ServedModel]] = {}
    for instance in state.instances.values():
        for model in instance.models.values():
            served.setdefault(model.name, []).append(model)
    return tuple(
        ModelView(
            name=name,
            context_tokens=max(model.context_tokens for model in models),
            max_output_tokens=max(model.max_output_tokens for model in models),
            instances=len(models),
            revisions=dict(Counter(model.revision for model in models)),
            created_at=created_at,
        )
        for name, models in sorted(served.items())
    )
