"""What a finished sign-in and a finished reset of a password mean to the guard."""

from typing import Any

from allauth.account.signals import password_reset
from django.contrib.auth.signals import user_logged_in
from django.http import HttpRequest

from apps.accounts.guarding.attempts import account_scope, guard
from apps.accounts.guarding.devices import account_digest
from apps.accounts.guarding.middleware import REMEMBERED
from apps.accounts.models import User
from apps.accounts.selectors import addresses_of


def connect() -> None:
    """Listen for both."""
    user_logged_in.connect(_signed_in, dispatch_uid="accounts.guarding.signed_in")
    password_reset.connect(_password_reset, dispatch_uid="accounts.guarding.password_reset")


def _signed_in(*, request: HttpRequest, user: User, **_: Any) -> None:
    addresses = addresses_of(user_id=user.pk)
    setattr(request, REMEMBERED, [account_digest(address) for address in addresses])


def _password_reset(*, request: HttpRequest, user: User, **_: Any) -> None:
    """Unlock: whoever reads the account's mail is its owner."""
    for address in addresses_of(user_id=user.pk):
        guard().forget(account_scope(address))
    _signed_in(request=request, user=user)
