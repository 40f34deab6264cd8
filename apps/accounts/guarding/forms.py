"""Allauth's forms where a guess or an address is looked at."""

from typing import Any

from allauth.account.adapter import get_adapter
from allauth.account.forms import ResetPasswordForm, SignupForm, default_token_generator
from allauth.account.internal.flows.password_reset import request_password_reset
from allauth.account.internal.userkit import filter_users_by_email
from allauth.core import context
from allauth.mfa.base.forms import AuthenticateForm, ReauthenticateForm
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils import timezone

from apps.accounts.background import in_background
from apps.accounts.guarding.attempts import second_step_attempt
from apps.accounts.guarding.notices import lock_notice_send
from apps.accounts.guarding.shadows import shadow_remember
from apps.accounts.guarding.words import wait_error
from apps.accounts.services import signup_begun, stand_in_make


class QuietResetForm(ResetPasswordForm):  # type: ignore[misc]  # allauth is untyped
    """Asks for an address; whose it is, is found out once the page is answered."""

    def clean_email(self) -> str:
        """Return the address, unread."""
        return str(get_adapter().clean_email(self.cleaned_data["email"].lower()))

    def save(self, request: HttpRequest, **kwargs: Any) -> str:
        """Have the mail written and sent."""
        email = str(self.cleaned_data["email"])
        generator = kwargs.get("token_generator", default_token_generator)

        def send() -> None:
            users = filter_users_by_email(
                email, is_active=True, prefer_verified=True, for_login=True
            )
            request_password_reset(request, email, users, generator)

        in_background(send)
        return email


class QuietSignupForm(SignupForm):  # type: ignore[misc]  # allauth is untyped
    """Costs a known address what it costs an unknown one, and is answered as it is."""

    def try_save(self, request: HttpRequest) -> Any:
        """Sign up, or send whoever has the address a mail instead."""
        if self.account_already_exists:
            address, password = self.cleaned_data["email"], self.cleaned_data["password1"]
            stand_in_make(password=password, now=timezone.now())
            shadow_remember(address=address, password=password)
        return super().try_save(request)

    def save(self, request: HttpRequest) -> Any:
        """Make an account that goes again unless its owner comes in within a day."""
        user = super().save(request)
        signup_begun(user=user, now=timezone.now())
        return user


class _Guarded:
    """Looks at a code once the guard admits it."""

    user: Any

    def clean_code(self) -> str:
        """Return a right code. Raises ValidationError for a wrong one, or when one must wait."""
        request: HttpRequest = context.request
        address = self.user.email
        attempt = second_step_attempt(request, user_id=self.user.pk, address=address)
        if wait_s := attempt.admit():
            raise wait_error(wait_s)
        try:
            code = str(super().clean_code())  # type: ignore[misc]  # the form it is mixed into
        except ValidationError:
            if attempt.is_news():
                in_background(lambda: lock_notice_send(request, address=address, step="code"))
            raise
        attempt.was_owners()
        return code


class GuardedCodeForm(_Guarded, AuthenticateForm):  # type: ignore[misc]  # allauth is untyped
    """The second step of a sign-in."""


class GuardedReauthenticationForm(_Guarded, ReauthenticateForm):  # type: ignore[misc]
    """A code given again before something that matters."""
