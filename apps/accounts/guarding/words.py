"""What people are told who must wait; the same whether or not an account is known here. Pure."""

from django.core.exceptions import ValidationError

_MINUTE_S = 60
_SECONDS_UP_TO_S = 90


def wait_words(wait_s: int) -> str:
    """Say a time to wait as people would."""
    if wait_s <= _SECONDS_UP_TO_S:
        return "1 second" if wait_s == 1 else f"{wait_s} seconds"
    return f"{-(-wait_s // _MINUTE_S)} minutes"


def wait_error(wait_s: int) -> ValidationError:
    """Return the error that a sign-in form shows."""
    return ValidationError(
        f"Too many wrong tries. The next one counts in {wait_words(wait_s)}. If you have forgotten "
        "your password, reset it: the link in the mail lets you in at once.",
        code="too_many_login_attempts",
    )
