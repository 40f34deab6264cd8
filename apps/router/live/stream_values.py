"""What a job's stream is made for and what its readers get, one frozen class each. Pure."""

from dataclasses import dataclass, field

from apps.router.errors import JobError
from motherfluxer_wire.fields import ServiceClass
from motherfluxer_wire.frames import Message, Sampling


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRequest:
    """What somebody asks for. `model_name` None: the default, or else any.

    `beginning`: the answer begins with this text, and only an instance that can continue gets it.
    `requester` is the fairness key ("user:7", "visitor:…"). A job that may not wait for an
    instance is refused at once when none that serves its model is connected. `keeper_note`: what
    the asking app needs, to keep the answer from another process on. `can_move`: its reader finds
    the stream again when a process that stops hands it over to another.
    """

    messages: tuple[Message, ...]
    requester: str
    service_class: ServiceClass
    request_id: str
    sampling: Sampling = field(default_factory=Sampling)
    model_name: str | None = None
    may_wait_for_instance: bool = True
    beginning: str = ""
    keeper_note: str = ""
    can_move: bool = False

    @property
    def chars(self) -> int:
        """How many characters an instance has to read."""
        return len(self.beginning) + sum(len(message.content) for message in self.messages)


@dataclass(frozen=True, slots=True)
class Waiting:
    """The job stands in the queue: `place` of `waiting`, the first place being 1.

    `expected_wait_s` is None before the router has measured how fast it gets on.
    """

    place: int
    waiting: int
    instances_online: int
    expected_wait_s: float | None = None


@dataclass(frozen=True, slots=True)
class Started:
    """An instance has the job."""

    instance_name: str
    model_name: str
    attempt: int


@dataclass(frozen=True, slots=True)
class Piece:
    """More of the answer; `offset` is that of the character after it."""

    text: str
    offset: int


@dataclass(frozen=True, slots=True)
class Ended:
    """Nothing more will come. `finish_reason`: "stop", "length" or "cancelled"; None on error."""

    finish_reason: str | None
    error: JobError | None = None


StreamEvent = Waiting | Started | Piece | Ended
