"""What may happen to the router, one frozen struct each. Pure."""

from msgspec import Struct

from apps.router.core.values import FailureCode, Offer, ServedModel, ServiceClass


class Event(Struct, frozen=True, tag=True):
    """Something happened; `step` says what follows."""


class InstanceJoined(Event, frozen=True):
    """An instance said hello on a new link, named by its session."""

    session: str
    instance_id: str
    name: str
    models: tuple[ServedModel, ...]
    slots: int
    offers: tuple[Offer, ...] = ()


class InstanceChanged(Event, frozen=True):
    """What an instance serves has changed."""

    session: str
    models: tuple[ServedModel, ...]
    slots: int


class InstanceHeard(Event, frozen=True):
    """Some frame other than a heartbeat came: the link lives."""

    session: str


class HeartbeatReceived(Event, frozen=True):
    """An instance named the jobs that it holds."""

    session: str
    running: tuple[str, ...]
    slots: int


class InstanceDraining(Event, frozen=True):
    """An instance wants no new jobs."""

    session: str


class LinkBroken(Event, frozen=True):
    """A link has ended, for whatever reason."""

    session: str


class JobSubmitted(Event, frozen=True):
    """Somebody asks. `model_name` None: any model."""

    job_id: str
    requester: str
    service_class: ServiceClass
    model_name: str | None = None
    may_wait_for_instance: bool = True


class JobCancelled(Event, frozen=True):
    """The reader wants no more of it."""

    job_id: str
    reason: str


class JobProgressed(Event, frozen=True):
    """Text of the answer has reached its stream: with the first piece, then now and then."""

    job_id: str
    attempt: int


class AttemptDone(Event, frozen=True):
    """An instance says that an attempt is complete: "stop", "length" or "cancelled"."""

    session: str
    job_id: str
    attempt: int
    finish_reason: str


class AttemptFailed(Event, frozen=True):
    """An instance says that an attempt has failed."""

    session: str
    job_id: str
    attempt: int
    code: FailureCode
    message: str


class ModelsKnown(Event, frozen=True):
    """Models that admitted instances have announced before this router started."""

    names: tuple[str, ...]


class TimePassed(Event, frozen=True):
    """Nothing happened; time did."""
