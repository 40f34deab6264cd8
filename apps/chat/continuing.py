"""Which answers that broke off or were stopped their readers may have continued. Pure."""

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


def is_continuable(*, is_whole: bool, text: str, error_code: str) -> bool:
    """Whether an answer that has ended has text from which an instance may go on."""
    return not is_whole and bool(text) and error_code not in _WOULD_FAIL_AGAIN
