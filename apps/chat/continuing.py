"""Which broken-off answers their readers may have continued. Pure."""

from typing import Final

from apps.router.errors import ErrorCode

_WOULD_FAIL_AGAIN: Final = frozenset(
    {
        ErrorCode.CONTEXT_LENGTH_EXCEEDED,
        ErrorCode.REFUSED_BY_INSTANCE,
        ErrorCode.MODEL_NOT_FOUND,
        ErrorCode.REQUEST_TOO_LARGE,
    }
)


def is_continuable(*, text: str, error_code: str) -> bool:
    """Whether a failed answer has text from which another instance may go on."""
    return bool(text) and error_code not in _WOULD_FAIL_AGAIN
