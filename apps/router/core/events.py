"""What may happen to the router, one frozen struct each. Pure."""

from msgspec import Struct

from apps.router.core.values import Alias, FailureCode, Offer, ServedModel, ServiceClass


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
    region: str | None = None


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
    """A link has ended. `is_ours`: because a process of the site's own stops or has died."""

    session: str
    is_ours: bool = False


class JobSubmitted(Event, frozen=True):
    """Somebody asks. `model_name` None: any model.

    prompt_tokens: the gateway's estimate. least_prompt_tokens: it can't be fewer. conversation:
    an opaque key that all turns of one conversation share, "" when there is none. has_text: the
    answer has a beginning already, so only an instance that can continue may have the job.
    last_attempt: None unless this is told anew to a router that has lost its memory.
    """

    job_id: str
    requester: str
    service_class: ServiceClass
    model_name: str | None = None
    may_wait_for_instance: bool = True
    prompt_tokens: int = 0
    least_prompt_tokens: int = 0
    conversation: str = ""
    has_text: bool = False
    last_attempt: int | None = None


class JobCancelled(Event, frozen=True):
    """The reader wants no more of it."""

    job_id: str
    reason: str


class RequesterLeft(Event, frozen=True):
    """Whoever asks under this key wants none of his jobs any more."""

    requester: str
    reason: str


class JobProgressed(Event, frozen=True):
    """Chunks have reached the job's stream: with the first one, then now and then.

    `tokens`: how many the attempt has given so far. `has_text`: some text was shown.
    """

    job_id: str
    attempt: int
    tokens: int = 0
    has_text: bool = True


class TokensCounted(Event, frozen=True):
    """How many tokens an attempt has given in all, told before it ends without an answer.

    It teaches nothing of the instance's speed: who has failed may have paused before.
    """

    job_id: str
    attempt: int
    tokens: int


class AttemptDone(Event, frozen=True):
    """An instance says that an attempt is complete: "stop", "length" or "cancelled".

    The counts are the instance's own, 0 where it gave none.
    """

    session: str
    job_id: str
    attempt: int
    finish_reason: str
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0


class AttemptFailed(Event, frozen=True):
    """An instance says that an attempt has failed."""

    session: str
    job_id: str
    attempt: int
    code: FailureCode
    message: str


class AttemptLost(Event, frozen=True):
    """An attempt can't go on, through nobody's fault: what it gave is not all there any more."""

    session: str
    job_id: str
    attempt: int


class ModelsKnown(Event, frozen=True):
    """Models that admitted instances have announced before this router started."""

    names: tuple[str, ...]


class CatalogChanged(Event, frozen=True):
    """What the catalog says from now on: aliases, and models that nobody may ask for."""

    aliases: tuple[Alias, ...] = ()
    forbidden: tuple[str, ...] = ()


class TimePassed(Event, frozen=True):
    """Nothing happened; time did."""
