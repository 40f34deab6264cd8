"""What can go wrong with a job, by stable code, and its one way to become a reply.

JobRefusedError     a job was not taken, or ended without a whole answer
JobMovedError       a job's stream goes on at another process
JournalGapError     what is written down of a job's stream has a hole
TooMuchSaidError    instances under one credential introduce themselves with more than is taken
PostFullError       Redis is away for so long that letters can't wait for it any more
RedisTooOldError    Redis can't do what routers need of it
"""

from dataclasses import dataclass
from enum import StrEnum


class ErrorCode(StrEnum):
    """The codes that reach people and programs; `docs/errors.md` has a line for each."""

    INVALID_REQUEST = "invalid_request"
    INVALID_API_KEY = "invalid_api_key"
    AUTHENTICATION_REQUIRED = "authentication_required"
    KEY_MAY_NOT_MANAGE = "key_may_not_manage"
    PERMISSION_DENIED = "permission_denied"
    SECOND_FACTOR_REQUIRED = "second_factor_required"
    REAUTHENTICATION_REQUIRED = "reauthentication_required"
    CSRF_FAILED = "csrf_failed"
    UNSUPPORTED_PARAMETER = "unsupported_parameter"
    REQUEST_TOO_LARGE = "request_too_large"
    UNSUPPORTED_ENCODING = "unsupported_encoding"
    MODEL_NOT_FOUND = "model_not_found"
    MODEL_OUT_OF_SCOPE = "model_out_of_scope"
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    NOT_ACCEPTABLE = "not_acceptable"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
    CONFLICT = "conflict"
    RATE_LIMIT_EXCEEDED = "rate_limit_exceeded"
    CONTEXT_LENGTH_EXCEEDED = "context_length_exceeded"
    DEMO_LIMIT_REACHED = "demo_limit_reached"
    DEMO_BUSY = "demo_busy"
    PROOF_NEEDED = "proof_needed"
    ANSWER_RUNNING = "answer_running"
    IDEMPOTENCY_KEY_REUSED = "idempotency_key_reused"
    QUEUE_FULL = "queue_full"
    NO_INSTANCE = "no_instance"
    QUEUE_TIMEOUT = "queue_timeout"
    ANSWER_INTERRUPTED = "answer_interrupted"
    INSTANCES_FAILED = "instances_failed"
    REFUSED_BY_INSTANCE = "refused_by_instance"
    SHUTTING_DOWN = "shutting_down"
    DATABASE_AWAY = "database_away"
    ROUTER_AWAY = "router_away"
    INTERNAL_ERROR = "internal_error"

    @property
    def http_status(self) -> int:
        """The HTTP status that goes with the code."""
        return _HTTP_STATUS[self]

    @property
    def openai_type(self) -> str:
        """The `type` that OpenAI's clients expect beside the code."""
        status = self.http_status
        if status == 401:
            return "authentication_error"
        if status == 429:
            return "rate_limit_error"
        return "invalid_request_error" if status < 500 else "server_error"


_HTTP_STATUS = {
    ErrorCode.INVALID_REQUEST: 400,
    ErrorCode.INVALID_API_KEY: 401,
    ErrorCode.AUTHENTICATION_REQUIRED: 401,
    ErrorCode.KEY_MAY_NOT_MANAGE: 403,
    ErrorCode.PERMISSION_DENIED: 403,
    ErrorCode.SECOND_FACTOR_REQUIRED: 403,
    ErrorCode.REAUTHENTICATION_REQUIRED: 403,
    ErrorCode.CSRF_FAILED: 403,
    ErrorCode.UNSUPPORTED_PARAMETER: 400,
    ErrorCode.REQUEST_TOO_LARGE: 413,
    ErrorCode.UNSUPPORTED_ENCODING: 415,
    ErrorCode.MODEL_NOT_FOUND: 404,
    ErrorCode.MODEL_OUT_OF_SCOPE: 403,
    ErrorCode.NOT_FOUND: 404,
    ErrorCode.METHOD_NOT_ALLOWED: 405,
    ErrorCode.NOT_ACCEPTABLE: 406,
    ErrorCode.UNSUPPORTED_MEDIA_TYPE: 415,
    ErrorCode.CONFLICT: 409,
    ErrorCode.RATE_LIMIT_EXCEEDED: 429,
    ErrorCode.CONTEXT_LENGTH_EXCEEDED: 400,
    ErrorCode.DEMO_LIMIT_REACHED: 429,
    ErrorCode.DEMO_BUSY: 429,
    ErrorCode.PROOF_NEEDED: 428,
    ErrorCode.ANSWER_RUNNING: 429,
    ErrorCode.IDEMPOTENCY_KEY_REUSED: 422,
    ErrorCode.QUEUE_FULL: 429,
    ErrorCode.NO_INSTANCE: 503,
    ErrorCode.QUEUE_TIMEOUT: 503,
    ErrorCode.ANSWER_INTERRUPTED: 502,
    ErrorCode.INSTANCES_FAILED: 502,
    ErrorCode.REFUSED_BY_INSTANCE: 400,
    ErrorCode.SHUTTING_DOWN: 503,
    ErrorCode.DATABASE_AWAY: 503,
    ErrorCode.ROUTER_AWAY: 503,
    ErrorCode.INTERNAL_ERROR: 500,
}


@dataclass(frozen=True, slots=True)
class JobError:
    """Why a job has no whole answer, in words for its reader."""

    code: ErrorCode
    message: str
    retry_after_s: int | None = None


class JobRefusedError(Exception):
    """A job was not taken, or ended without a whole answer."""

    def __init__(self, error: JobError) -> None:
        super().__init__(f"{error.code}: {error.message}")
        self.error = error


class JobMovedError(Exception):
    """A job's stream goes on at another process, which keeps its answer from here on."""


class JournalGapError(Exception):
    """What is written down of a job's stream has a hole."""

    def __init__(self, job_id: str, *, had: int, offset: int) -> None:
        super().__init__(f"job {job_id}: text from {offset} on came where {had} was due")
        self.job_id = job_id


class TooMuchSaidError(Exception):
    """Instances under one credential introduce themselves with more than is taken."""


class PostFullError(Exception):
    """Redis is away for so long that letters can't wait for it any more."""


class RedisTooOldError(Exception):
    """Redis can't do what routers need of it."""

    def __init__(self, version: str, oldest: int) -> None:
        super().__init__(f"Redis is of version {version}; routers need {oldest} or later")
        self.version = version
