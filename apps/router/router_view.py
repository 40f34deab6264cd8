"""What the router sees, for people and programs: made from the core's state."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from msgspec import Struct

from apps.router.core.instances import Instance
from apps.router.core.places import jobs_per_s
from apps.router.core.settings import CoreSettings
from apps.router.core.state import Job, RouterState
from apps.router.core.values import Health, ServedModel, ServiceClass


class LinkDetail(Struct, frozen=True):
    """What only the gateway that holds a link knows of it."""

    operator: str = ""
    credential_id: str = ""
    agent: str = ""


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
    None before that is measured. `failovers`: how often another router took over; `outcomes`: how
    many attempts ended in each way; both are known where routers run apart.
    """

    instances: tuple[InstanceView, ...]
    gone: tuple[GoneView, ...]
    health: Mapping[str, int]
    queue: tuple[QueueView, ...]
    jobs_per_s: float | None
    jobs: tuple[JobView, ...]
    models: tuple[ModelView, ...]
    failovers: int = 0
    outcomes: Mapping[str, int] = field(default_factory=dict)


NO_VIEW = RouterView(
    instances=(), gone=(), health={}, queue=(), jobs_per_s=None, jobs=(), models=()
)
"""Nothing at all: what is seen of a router that nobody has heard of yet."""


def view_of(
    state: RouterState,
    now: float,
    *,
    details: Mapping[str, LinkDetail],
    submitted_at: Mapping[str, float],
    started_at: int,
    failovers: int = 0,
    outcomes: Mapping[str, int] | None = None,
) -> RouterView:
    """Return what a state shows: of the instances those that `details` names by their sessions.

    submitted_at: when a job came, where that is known better than by the core, which forgets it
    when the job waits again. started_at: the models' date, in seconds since the epoch.
    """
    instances = tuple(
        _instance_view(instance, details[instance.session], state.settings, now)
        for instance in state.instances.values()
        if instance.session in details
    )
    waiting = state.queue.in_order(now, state.settings)
    places = {entry.job_id: place for place, entry in enumerate(waiting, start=1)}
    jobs = tuple(
        _job_view(state, job, submitted_at.get(job.job_id), places.get(job.job_id), now)
        for job in state.jobs.values()
    )
    return RouterView(
        instances=instances,
        gone=_gone_views(state, now),
        health=_health_counts(state),
        queue=_queue_views(state, now),
        jobs_per_s=jobs_per_s(state, state.serving(None), None) or None,
        jobs=jobs,
        models=_model_views(state, started_at),
        failovers=failovers,
        outcomes=dict(outcomes or {}),
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
    instance: Instance, detail: LinkDetail, settings: CoreSettings, now: float
) -> InstanceView:
    record = instance.record
    is_ejected = record.health is Health.EJECTED
    return InstanceView(
        name=instance.name,
        operator=detail.operator,
        credential_id=detail.credential_id,
        state="paused" if _shows_pause(instance) else record.health.value,
        models=tuple(instance.usual_models),
        slots=instance.slots,
        running=tuple(instance.open_jobs),
        agent=detail.agent,
        region=instance.region,
        connected_s=now - instance.joined_at,
        last_heard_s=now - instance.last_heard_at,
        consecutive_failures=record.consecutive_failures,
        recent_failures=round(record.recent_failures(now, settings.failure_half_life_s), 3),
        ejected_for_s=max(0.0, record.ejected_until - now) if is_ejected else None,
    )


def _shows_pause(instance: Instance) -> bool:
    return instance.is_paused and not instance.is_draining


def _job_view(
    state: RouterState, job: Job, submitted_at: float | None, place: int | None, now: float
) -> JobView:
    owner = state.instances.get(job.session) if job.session else None
    return JobView(
        job_id=job.job_id,
        state=job.state,
        service_class=job.service_class,
        model_name=job.model_name,
        place=place,
        attempt=job.attempt,
        instance_name=owner.name if owner else None,
        age_s=now - (job.queued_at if submitted_at is None else submitted_at),
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
