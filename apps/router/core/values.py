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
    PAUSED = "paused"
    DRAINING = "draining"
    EJECTED = "ejected"
    NO_FREE_SLOT = "no_free_slot"
    FAILED_THIS_JOB = "failed_this_job"
    CANNOT_CONTINUE = "cannot_continue"
    CONTEXT_TOO_SHORT = "context_too_short"


class Health(StrEnum):
    """How an instance stands; `health.TRANSITIONS` says what may follow what."""

    JOINING = "joining"
    PROBATION = "probation"
    HEALTHY = "healthy"
    SLOW = "slow"
    EJECTED = "ejected"
    DRAINING = "draining"
    GONE = "gone"


class AttemptOutcome(StrEnum):
    """How an attempt ended."""

    DONE = "done"
    CANCELLED = "cancelled"
    REFUSED = "refused"
    FAILED = "failed"
    OVERLOADED = "overloaded"
    GAVE_UP = "gave_up"
    LINK_LOST = "link_lost"
    FORGOTTEN = "forgotten"
    FIRST_TOKEN_LATE = "first_token_late"  # noqa: S105 # no password
    STUCK = "stuck"
    SILENT = "silent"


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


class AliasTarget(Struct, frozen=True):
    """What an alias may stand for. `revision` None: any. `weight`: its share among the targets."""

    model_name: str
    weight: float
    revision: str | None = None


class Alias(Struct, frozen=True):
    """Another name for one or several models; jobs are spread over the targets by weight."""

    name: str
    targets: tuple[AliasTarget, ...]


class Candidate(Struct, frozen=True):
    """An instance as one decision saw it.

    first_token_s and token_s: the expected time to the job's first token and between tokens;
        None before anything was measured. held_tokens: how much of the prompt the instance
        still holds from the conversation. score: the rule's figure, lower wins; None where the
        rule did not look.
    """

    session: str
    name: str
    health: Health
    open_jobs: int
    slots: int
    last_assigned: int
    recent_failures: float = 0.0
    first_token_s: float | None = None
    token_s: float | None = None
    held_tokens: int = 0
    score: float | None = None
    ruled_out: RuledOut | None = None

    @property
    def load(self) -> float:
        """Open jobs by slots."""
        return self.open_jobs / self.slots


class Decision(Struct, frozen=True):
    """Why an instance got a job: the table that was seen, and the rule that picked.

    `at` is in the router's own seconds; `waited_s` counts from when the job came or came back.
    `candidates` holds every instance of a small fleet, and the best of a large one;
    `unlisted` counts the others. `asked_model` is the name that the user gave: perhaps an alias.
    `is_fail_open`: every instance that could have it was ejected, so ejection was ignored.
    """

    job_id: str
    attempt: int
    at: float
    waited_s: float
    rule: str
    asked_model: str | None
    model_name: str
    revision: str
    service_class: ServiceClass
    prompt_tokens: int
    candidates: tuple[Candidate, ...]
    unlisted: int
    winner: str
    winner_session: str
    is_fail_open: bool = False


class AttemptEnded(Struct, frozen=True):
    """How one attempt ended. `tokens`: how many of the answer's tokens it gave."""

    job_id: str
    attempt: int
    at: float
    instance_name: str
    outcome: AttemptOutcome
    tokens: int = 0
