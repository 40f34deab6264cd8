"""Tells an account's owner that somebody guesses."""

from typing import Any, Literal, cast

from allauth.account.internal.userkit import filter_users_by_email
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from apps.accounts.mails import mail_send


def lock_notice_send(
    request: HttpRequest, *, address: str, step: Literal["password", "code"]
) -> None:
    """Send the owner of an address, if there is one, what happened and what to do.

    `step`: what was guessed at. Who guesses codes knows the password.
    """
    users = filter_users_by_email(address, is_active=True, prefer_verified=True, for_login=True)
    about: dict[str, Any] = {
        "step": step,
        "at": timezone.now(),
        "from_address": request.META.get("REMOTE_ADDR") or "",
        "reset_url": f"{cast(Any, request).sites.user}{reverse('account_reset_password')}",
    }
    for user in users:
        mail_send(name="locked", to=user.email, about=about)
