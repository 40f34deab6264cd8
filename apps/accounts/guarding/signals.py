"""What a finished sign-in and a finished reset of a password mean to the guard."""

from typing import Any

from allauth.account.signals import password_reset
from django.contrib.auth.signals import user_logged_in
from django.http import HttpRequest

from apps.accounts.guarding.attempts import guesses_forget
from apps.accounts.guarding.devices import account_digest
from apps.accounts.guarding.middleware import REMEMBERED
from apps.accounts.models import User
from apps.accounts.selectors import addresses_of
from apps.accounts.services import signup_finished


def connect() -> None:
    """Listen for both."""
    user_logged_in.connect(_owner_is_here, dispatch_uid="accounts.guarding.signed_in")
    password_reset.connect(_owner_is_here, dispatch_uid="accounts.guarding.password_reset")


def _owner_is_here(*, request: HttpRequest, user: User, **_: Any) -> None:
    """Forget wrong guesses, and know this browser again: this is the owner, or reads the mail."""
    signup_finished(user=user)
    addresses = addresses_of(user_id=user.pk)
    guesses_forget(request, user_id=user.pk, addresses=addresses)
    setattr(request, REMEMBERED, [account_digest(address) for address in addresses])
