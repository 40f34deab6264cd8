"""What is wrong with a request, and the one place where an exception becomes a reply.

ApiError            a request that gets an error instead of an answer
ClientGoneError     the client hung up; nobody is left to answer
"""

import logging
from typing import Any, Final

from apps.api.conf import CONF
from apps.databases import AGAIN_IN_S, DATABASE_AWAY, DATABASE_AWAY_WORDS
from apps.redis_clients import REDIS_AWAY, REDIS_AWAY_WORDS
from apps.router.errors import ErrorCode, JobError, JobMovedError, JobRefusedError

log = logging.getLogger(__name__)

_PARAM: Final = {
    ErrorCode.MODEL_NOT_FOUND: "model",
    ErrorCode.NO_INSTANCE: "model",
    ErrorCode.CONTEXT_LENGTH_EXCEEDED: "messages",
}
_PASSING_STATUSES: Final = frozenset({429, 503})


class ApiError(Exception):
    """A request gets an error instead of an answer; `param` names what is wrong in it."""

    def __init__(
        self,
        code: ErrorCode,
        message: str,
        *,
        param: str | None = None,
        retry_after_s: int | None = None,
        allow: str | None = None,
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.param = param
        self.retry_after_s = retry_after_s
        self.allow = allow

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.code.http_status

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """The headers that go with it."""
        if self.status == 401:
            return [(b"www-authenticate", b'Bearer realm="MotherFluxer"')]
        if self.allow is not None:
            return [(b"allow", self.allow.encode("ascii"))]
        if self.status in _PASSING_STATUSES:
            return [(b"retry-after", b"%d" % (self.retry_after_s or CONF.retry_after_s))]
        return []

    @property
    def body(self) -> dict[str, Any]:
        """The error as OpenAI's clients read it."""
        error = {
            "message": self.message,
            "type": self.code.openai_type,
            "param": self.param,
            "code": self.code.value,
        }
        return {"error": error}


class ClientGoneError(Exception):
    """The client hung up before its request was whole."""


def api_error_of_job(error: JobError) -> ApiError:
    """Turn the end of a job without an answer into an error reply."""
    param = _PARAM.get(error.code)
    return ApiError(error.code, error.message, param=param, retry_after_s=error.retry_after_s)


def api_error_of(exception: Exception, *, request_id: str) -> ApiError:
    """Turn any exception into an error reply; one that nobody expected is logged."""
    if isinstance(exception, ApiError):
        return exception
    if isinstance(exception, JobRefusedError):
        return api_error_of_job(exception.error)
    if isinstance(exception, JobMovedError):
        words = "The answer broke off: the process that had it stood still. Ask again."
        return ApiError(ErrorCode.ANSWER_INTERRUPTED, words)
    if isinstance(exception, DATABASE_AWAY):
        log.warning("an API request needs the database", extra={"request": request_id})
        return ApiError(ErrorCode.DATABASE_AWAY, DATABASE_AWAY_WORDS, retry_after_s=AGAIN_IN_S)
    if isinstance(exception, REDIS_AWAY):
        log.warning("an API request needs Redis", extra={"request": request_id})
        return ApiError(ErrorCode.ROUTER_AWAY, REDIS_AWAY_WORDS, retry_after_s=AGAIN_IN_S)
    log.error("an API request failed", exc_info=exception, extra={"request": request_id})
    words = f"Something went wrong on our side. Quote the request {request_id} when you report it."
    return ApiError(ErrorCode.INTERNAL_ERROR, words)
