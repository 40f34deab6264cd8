"""What allauth asks before it looks at a password, and how it sends mails."""

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.internal.flows.email_verification import (
    consume_email_verification_rate_limit,
)
from allauth.account.internal.flows.signup import prevent_enumeration
from allauth.core.exceptions import ImmediateHttpResponse
from django.contrib.auth.base_user import AbstractBaseUser
from django.http import HttpRequest

from apps.accounts.background import in_background
from apps.accounts.guarding.attempts import password_attempt
from apps.accounts.guarding.notices import lock_notice_send
from apps.accounts.guarding.shadows import is_shadow
from apps.accounts.guarding.words import wait_error


class GuardedAdapter(DefaultAccountAdapter):  # type: ignore[misc]  # allauth has no types
    """Allauth's own, with our guard in place of its limit of wrong passwords.

    Allauth's would let anybody lock anybody out for as long as they like.
    """

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        """Leave the limit out that `authenticate` replaces."""

    def authenticate(self, request: HttpRequest, **credentials: Any) -> AbstractBaseUser | None:
        """Look at a password once the guard admits it. Raises ValidationError: wait."""
        address = str(credentials.get("email") or credentials.get("username") or "")
        attempt = password_attempt(request, address)
        if wait_s := attempt.admit():
            raise wait_error(wait_s)
        user: AbstractBaseUser | None = super().authenticate(request, **credentials)
        if request.user.is_authenticated and user == request.user:
            attempt.was_owners()
        elif user is not None:
            attempt.was_right()
        elif is_shadow(address=address, password=str(credentials.get("password"))):
            attempt.was_right()
            if not consume_email_verification_rate_limit(request, address, dry_run=True):
                raise self.validation_error("too_many_login_attempts")
            raise ImmediateHttpResponse(prevent_enumeration(request, email=address))
        elif attempt.is_news():
            # Whether anybody is to be told is found out there, not in this answer's time.
            in_background(lambda: lock_notice_send(request, address=address, step="password"))
        return user

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Write and send a mail once the page is answered."""
        send = super().send_mail
        in_background(lambda: send(template_prefix, email, context))
