"""What plugins may read of the live router. Call from the event loop that it runs in."""

from dataclasses import dataclass

from apps.router.live.runtime import live_router
from apps.router.live.streams import JobStream


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceView:
    """One connected instance. `load` is running jobs by slots."""

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
    """One model that connected instances serve now. `created_at`: seconds since the epoch."""

    name: str
    context_tokens: int
    max_output_tokens: int
    instances: int
    created_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RouterView:
    """The live router at one moment."""

    instances: tuple[InstanceView, ...]
    jobs: tuple[JobView, ...]
    models: tuple[ModelView, ...]


def stream_find(*, job_id: str) -> JobStream | None:
    """Return a job's stream while the job lives and for a minute after its end."""
    return live_router().gateway.streams.get(job_id)


def router_view() -> RouterView:
    """Return what the router sees now."""
    return live_router().view()
