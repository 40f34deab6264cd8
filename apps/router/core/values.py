"""The small values that events, effects and the state share. Pure."""

from enum import StrEnum

from msgspec import Struct


class ServiceClass(StrEnum):
    """Who is served first: the order of this enum is the order of service."""

    REGISTERED = "registered"
    DEMO = "demo"
    PROBE = "probe"


class Refusal(StrEnum):
    """Why a job ends without a whole answer."""

    MODEL_NOT_FOUND = "model_not_found"
    NO_INSTANCE = "no_instance"
    QUEUE_FULL = "queue_full"
    QUEUE_TIMEOUT = "queue_timeout"
    INSTANCES_FAILED = "instances_failed"
    REFUSED_BY_INSTANCE = "refused_by_instance"
    CONTEXT_LENGTH_EXCEEDED = "context_length_exceeded"


class FailureCode(StrEnum):
    """How an instance classifies a failed attempt."""

    BAD_REQUEST = "bad_request"
    CONTEXT_OVERFLOW = "context_overflow"
    UNSUPPORTED = "unsupported"
    OVERLOADED = "overloaded"
    ENGINE_ERROR = "engine_error"


class RuledOut(StrEnum):
    """Why an instance could not have a job."""

    MODEL_NOT_SERVED = "model_not_served"
    DRAINING = "draining"
    NO_FREE_SLOT = "no_free_slot"
    FAILED_THIS_JOB = "failed_this_job"
    CANNOT_CONTINUE = "cannot_continue"


class ServedModel(Struct, frozen=True):
    """A model as one instance serves it."""

    name: str
    context_tokens: int
    max_output_tokens: int
    revision: str = ""
    fingerprint: str | None = None
    can_continue: bool = False


class Offer(Struct, frozen=True):
    """A job that a reconnected instance still holds."""

    job_id: str
    attempt: int


class Candidate(Struct, frozen=True):
    """An instance as one decision saw it. `load`: open jobs by slots; lower wins."""

    session: str
    name: str
    open_jobs: int
    slots: int
    load: float
    last_assigned: int
    ruled_out: RuledOut | None = None


class Decision(Struct, frozen=True):
    """Why an instance got a job: the table that was seen, and the rule that picked.

    `at` is in the router's own seconds; `waited_s` counts from when the job came or came back.
    """

    job_id: str
    attempt: int
    at: float
    waited_s: float
    rule: str
    model_name: str
    service_class: ServiceClass
    candidates: tuple[Candidate, ...]
    winner: str
