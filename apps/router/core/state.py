"""The router's table: instances, jobs and the queue. Pure; changed by `step` alone.

All of it is plain data, so that msgspec can write it down and read it back.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

import msgspec

from apps.router.core.draws import draw
from apps.router.core.errors import IllegalTransitionError
from apps.router.core.instances import Instance, InstanceRecord
from apps.router.core.queue import WaitingQueue
from apps.router.core.settings import CoreSettings
from apps.router.core.speed import Estimate, Speed
from apps.router.core.values import Alias, AttemptOutcome, ServiceClass

KNOWN_MODELS_MOST: Final = 10_000
"""Instances may announce ever new names; of those beyond it only what is served now is known."""


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
class Try:
    """The attempt that runs now, on the router's clock. `progressed_at` None: no token yet.

    `tokens` counts from the attempt's beginning, also when it was taken up on a new link; it is as
    of the last progress, `counted_tokens` as of the end.
    """

    started_at: float
    others: int
    new_tokens: float
    expected_at: float
    due_at: float
    progressed_at: float | None = None
    tokens: int = 0
    is_resumed: bool = False
    counted_tokens: int = 0


@dataclass(slots=True)
class Failure:
    """One attempt that failed through its instance's fault, or the job's.

    `is_past`: the instance has an engine made anew since. `is_counted`: for its health.
    """

    instance_id: str
    outcome: AttemptOutcome
    is_past: bool = False
    is_counted: bool = True


@dataclass(slots=True)
class Job:
    """One request. `session` is the owner's link while it runs; `owner_id` the last owner.

    `model_name` is None until it is known which model answers; `asked_model` may be an alias.
    `given_tokens` is what its ended attempts wrote, `last_tokens` the last of them.
    `charged_tokens` is what its user has been charged so far, in weighted tokens.
    `excused_count` of its attempts were lost with the site's own processes.
    """

    job_id: str
    requester: str
    service_class: ServiceClass
    asked_model: str | None
    model_name: str | None
    revision: str | None
    may_wait_for_instance: bool
    prompt_tokens: int
    least_prompt_tokens: int
    conversation: str
    queued_at: float
    held_at: float | None = None
    state: JobState = JobState.QUEUED
    attempt: int = 0
    excused_count: int = 0
    session: str | None = None
    owner_id: str | None = None
    has_text: bool = False
    given_tokens: int = 0
    last_tokens: int = 0
    charged_tokens: float = 0.0
    running: Try | None = None
    failures: list[Failure] = field(default_factory=list)
    shown_place: tuple[int, int, int, float | None] | None = None

    def move(self, state: JobState) -> None:
        """Change the state. Raises IllegalTransitionError."""
        if state not in TRANSITIONS[self.state]:
            raise IllegalTransitionError(self.job_id, self.state, state)
        self.state = state

    def has_failed_on(self, instance_id: str) -> bool:
        """Whether that instance, with the engine it has now, has failed this job."""
        return any(f.instance_id == instance_id and not f.is_past for f in self.failures)


@dataclass(slots=True)
class Holding:
    """Which instance answered a conversation last, and how many tokens of it that read."""

    instance_id: str
    tokens: int
    at: float


@dataclass(slots=True)
class Served:
    """Who served a model at a moment: instances, and how many jobs a second they end; 0 unknown.

    `models`: all that these instances serve.
    """

    at: float
    instances_online: int
    jobs_per_s: float
    models: set[str] = field(default_factory=set)


@dataclass(slots=True)
class ModelFigures:
    """What is usual for a model over all its instances."""

    speed: Speed = field(default_factory=Speed)
    job_s: Estimate = field(default_factory=Estimate)


@dataclass(slots=True)
class RouterState:
    """Everything the router knows. Jobs that have ended are not kept."""

    settings: CoreSettings = field(default_factory=CoreSettings)
    instances: dict[str, Instance] = field(default_factory=dict)
    records: dict[str, InstanceRecord] = field(default_factory=dict)
    jobs: dict[str, Job] = field(default_factory=dict)
    queue: WaitingQueue = field(default_factory=WaitingQueue)
    known_models: set[str] = field(default_factory=set)
    aliases: dict[str, Alias] = field(default_factory=dict)
    forbidden_models: set[str] = field(default_factory=set)
    models: dict[str, ModelFigures] = field(default_factory=dict)
    served: dict[str, Served] = field(default_factory=dict)
    conversations: dict[str, Holding] = field(default_factory=dict)
    assignments_count: int = 0
    draws_count: int = 0
    has_news: bool = False
    ticked_at: float | None = None
    placed_at: float | None = None

    def remember_models(self, names: Iterable[str]) -> None:
        """Note that models have been announced, while there is room for their names."""
        for name in names:
            if len(self.known_models) >= KNOWN_MODELS_MOST:
                return
            self.known_models.add(name)

    def is_known(self, model_name: str) -> bool:
        """Whether a model was announced by any instance."""
        return model_name in self.known_models or self.is_served(model_name)

    def is_served(self, model_name: str | None, revision: str | None = None) -> bool:
        """Whether any instance takes jobs for a model; None: for any."""
        return any(True for _ in self.each_serving(model_name, revision))

    def serving(self, model_name: str | None, revision: str | None = None) -> list[Instance]:
        """List the instances that take jobs for a model; None: for any."""
        return list(self.each_serving(model_name, revision))

    def each_serving(
        self, model_name: str | None, revision: str | None = None
    ) -> Iterator[Instance]:
        """Yield the instances that take jobs for a model; None: for any."""
        for instance in self.instances.values():
            if not instance.is_draining and serves(instance, model_name, revision):
                yield instance

    def fleet_changed(self) -> None:
        """Somebody came, left, or serves something else."""
        self.has_news = True
        self.served.clear()

    def usual(self, model_name: str) -> ModelFigures:
        """Return what is usual for a model."""
        usual = self.models.get(model_name)
        if usual is None:
            usual = self.models[model_name] = ModelFigures()
        return usual

    def next_draw(self) -> float:
        """Return the next draw from [0, 1)."""
        self.draws_count += 1
        return draw(self.settings.seed, self.draws_count)


def serves(instance: Instance, model_name: str | None, revision: str | None) -> bool:
    """Whether an instance serves a model in a revision; None: any."""
    if model_name is None:
        return bool(instance.models)
    model = instance.models.get(model_name)
    return model is not None and (revision is None or model.revision == revision)


def state_encode(state: RouterState) -> bytes:
    """Write the whole state down as JSON."""
    return msgspec.json.encode(state)


def state_decode(data: bytes) -> RouterState:
    """Read a state back. Raises msgspec.ValidationError."""
    state = msgspec.json.decode(data, type=RouterState)
    for instance in state.instances.values():
        instance.record = state.records[instance.instance_id]
    return state
