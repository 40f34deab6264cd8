"""The router's table: instances, jobs and the queue. Pure; changed by `step` alone."""

from dataclasses import dataclass, field
from enum import StrEnum

from apps.router.core.errors import IllegalTransitionError
from apps.router.core.queue import WaitingQueue
from apps.router.core.selection.least_loaded import LeastLoaded
from apps.router.core.selection.port import Rule
from apps.router.core.settings import CoreSettings
from apps.router.core.values import ServedModel, ServiceClass


class JobState(StrEnum):
    """Where a job is; drawn in the app's README."""

    QUEUED = "queued"
    RUNNING = "running"
    ENDED = "ended"


TRANSITIONS: dict[JobState, frozenset[JobState]] = {
    JobState.QUEUED: frozenset({JobState.RUNNING, JobState.ENDED}),
    JobState.RUNNING: frozenset({JobState.QUEUED, JobState.ENDED}),
    JobState.ENDED: frozenset(),
}


@dataclass(slots=True)
class Job:
    """One request. `session` is the owner's link while it runs; `owner_id` the last owner."""

    job_id: str
    requester: str
    service_class: ServiceClass
    model_name: str | None
    may_wait_for_instance: bool
    queued_at: float
    state: JobState = JobState.QUEUED
    attempt: int = 0
    session: str | None = None
    owner_id: str | None = None
    has_text: bool = False
    failed_on: set[str] = field(default_factory=set)
    shown_place: tuple[int, int, int] | None = None

    def move(self, state: JobState) -> None:
        """Change the state. Raises IllegalTransitionError."""
        if state not in TRANSITIONS[self.state]:
            raise IllegalTransitionError(self.job_id, self.state, state)
        self.state = state


@dataclass(slots=True)
class Instance:
    """One connected instance. `open_jobs` (job to attempt) is the only count of its load.

    A cancelled job stays open until the instance has said that it stopped.
    """

    session: str
    instance_id: str
    name: str
    models: dict[str, ServedModel]
    slots: int
    joined_at: float
    last_heard_at: float
    is_draining: bool = False
    open_jobs: dict[str, int] = field(default_factory=dict)
    missing_heartbeats: dict[str, int] = field(default_factory=dict)
    last_assigned: int = 0

    @property
    def load(self) -> float:
        """Open jobs by slots."""
        return len(self.open_jobs) / self.slots

    @property
    def has_free_slot(self) -> bool:
        """Whether one more job fits."""
        return len(self.open_jobs) < self.slots

    def close_job(self, job_id: str, attempt: int) -> bool:
        """Free the slot of an attempt; False when it holds none."""
        if self.open_jobs.get(job_id) != attempt:
            return False
        del self.open_jobs[job_id]
        self.missing_heartbeats.pop(job_id, None)
        return True


@dataclass(slots=True)
class RouterState:
    """Everything the router knows. Jobs that have ended are not kept."""

    settings: CoreSettings = field(default_factory=CoreSettings)
    rule: Rule = field(default_factory=LeastLoaded)
    instances: dict[str, Instance] = field(default_factory=dict)
    jobs: dict[str, Job] = field(default_factory=dict)
    queue: WaitingQueue = field(default_factory=WaitingQueue)
    known_models: set[str] = field(default_factory=set)
    assignments_count: int = 0

    def serving(self, model_name: str | None) -> list[Instance]:
        """List the instances that take jobs for a model; None: for any."""
        return [
            instance
            for instance in self.instances.values()
            if not instance.is_draining and (model_name is None or model_name in instance.models)
        ]
