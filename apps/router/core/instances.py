"""What the router knows of an instance: of its link, and over all its links. Pure."""

from dataclasses import dataclass, field

from apps.router.core.errors import IllegalHealthError
from apps.router.core.speed import Estimate, Speed
from apps.router.core.values import Health, ServedModel

TRANSITIONS: dict[Health, frozenset[Health]] = {
    Health.JOINING: frozenset(
        {Health.PROBATION, Health.HEALTHY, Health.EJECTED, Health.DRAINING, Health.GONE}
    ),
    Health.PROBATION: frozenset({Health.HEALTHY, Health.EJECTED, Health.DRAINING, Health.GONE}),
    Health.HEALTHY: frozenset({Health.SLOW, Health.EJECTED, Health.DRAINING, Health.GONE}),
    Health.SLOW: frozenset({Health.HEALTHY, Health.EJECTED, Health.DRAINING, Health.GONE}),
    Health.EJECTED: frozenset({Health.PROBATION, Health.DRAINING, Health.GONE}),
    Health.DRAINING: frozenset({Health.GONE}),
    Health.GONE: frozenset({Health.JOINING, Health.EJECTED}),
}


@dataclass(slots=True)
class InstanceRecord:
    """An instance over all its links, so that a new link washes nobody clean.

    `failures` is a weighted count of recent ones as of `failed_at`. `overdue_s`: by how much a
    first token is later than expected, the latest of them as of the last tick. `memory` belongs
    to the selection rules: each keeps its own figures there under its own words.
    """

    instance_id: str
    name: str
    health: Health = Health.JOINING
    speeds: dict[str, Speed] = field(default_factory=dict)
    job_s: Estimate = field(default_factory=Estimate)
    reuse: Estimate = field(default_factory=Estimate)
    answers_count: int = 0
    consecutive_failures: int = 0
    failures: float = 0.0
    failed_at: float = 0.0
    ejections_count: int = 0
    ejected_until: float = 0.0
    ejected_by: str | None = None
    gone_at: float | None = None
    overdue_s: float = 0.0
    memory: dict[str, list[float]] = field(default_factory=dict)

    def move(self, health: Health) -> None:
        """Change the health. Raises IllegalHealthError."""
        if health not in TRANSITIONS[self.health]:
            raise IllegalHealthError(self.instance_id, self.health, health)
        self.health = health

    def recent_failures(self, now: float, half_life_s: float) -> float:
        """Return the failures, each halved every `half_life_s`."""
        if self.failures == 0.0:
            return 0.0
        return float(self.failures * 0.5 ** ((now - self.failed_at) / half_life_s))


@dataclass(slots=True, eq=False)
class Instance:
    """One connected instance. `open_jobs` (job to attempt) is the only count of its load.

    A cancelled job stays open until the instance has said that it stopped. `paused` is what it
    served before it paused, empty while it serves; `serves_since`: when its last pause ended;
    `is_pause_blamed`: that pause has counted as a failure.
    """

    session: str
    record: InstanceRecord
    models: dict[str, ServedModel]
    slots: int
    joined_at: float
    last_heard_at: float
    region: str | None = None
    open_jobs: dict[str, int] = field(default_factory=dict)
    missing_heartbeats: dict[str, int] = field(default_factory=dict)
    last_assigned: int = 0
    paused: dict[str, ServedModel] = field(default_factory=dict)
    serves_since: float = 0.0
    is_pause_blamed: bool = False

    @property
    def instance_id(self) -> str:
        """What stays the same over reconnects."""
        return self.record.instance_id

    @property
    def name(self) -> str:
        """The name that the operator chose."""
        return self.record.name

    @property
    def is_draining(self) -> bool:
        """Whether it wants no new jobs."""
        return self.record.health is Health.DRAINING

    @property
    def is_paused(self) -> bool:
        """Whether it serves nothing at present, and will be back."""
        return bool(self.paused)

    @property
    def usual_models(self) -> dict[str, ServedModel]:
        """What it serves when it doesn't pause."""
        return self.models or self.paused

    @property
    def load(self) -> float:
        """Open jobs by slots."""
        return len(self.open_jobs) / self.slots

    @property
    def has_free_slot(self) -> bool:
        """Whether one more job fits."""
        return len(self.open_jobs) < self.slots

    def speed(self, model_name: str) -> Speed:
        """Return what is known of its speed with a model."""
        speed = self.record.speeds.get(model_name)
        if speed is None:
            speed = self.record.speeds[model_name] = Speed()
        return speed

    def close_job(self, job_id: str, attempt: int) -> bool:
        """Free the slot of an attempt; False when it holds none."""
        if self.open_jobs.get(job_id) != attempt:
            return False
        del self.open_jobs[job_id]
        self.missing_heartbeats.pop(job_id, None)
        return True
