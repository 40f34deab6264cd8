"""The one place where an error becomes an answer of `/v1`.

ApiError        a request that is refused before it becomes a job
"""

import msgspec

from apps.router.errors import ErrorCode, JobError


class ApiError(Exception):
    """A request that is refused; `param` names the parameter at fault."""

    def __init__(self, code: ErrorCode, message: str, *, param: str | None = None) -> None:
        super().__init__(message)
        self.error = JobError(code, message)
        self.param = param


def error_body(error: JobError, param: str | None = None) -> bytes:
    """Write an error as OpenAI's clients read it."""
    return msgspec.json.encode(
        {
            "error": {
                "message": error.message,
                "type": error.code.openai_type,
                "param": param,
                "code": error.code.value,
            }
        }
    )
