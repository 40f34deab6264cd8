"""Creates users, and makes the accounts of the first run."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from allauth.account.models import EmailAddress
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction

from apps.accounts import roles, selectors
from apps.accounts.conf import CONF
from apps.accounts.errors import AddressInvalidError
from apps.accounts.models import User


def user_ensure(*, email: str) -> User:
    """Return the user with that address, made without a password if need be.

    Raises AddressInvalidError.
    """
    known = selectors.user_by_email(email=email)
    if known is not None:
        return known
    try:
        validate_email(email)
    except ValidationError as error:
        raise AddressInvalidError(email) from error
    return User.objects.create_user(email)


def signup_begun(*, user: User, now: datetime) -> None:
    """Note that an account was made by somebody of whom nothing is known yet."""
    User.objects.filter(pk=user.pk).update(unfinished_since=now)


def stand_in_make(*, password: str, now: datetime) -> None:
    """Write what a sign-up writes, for nobody: an account with an address that cannot be.

    So a sign-up with a known address costs what one with an unknown address does. The housekeeping
    deletes it within the hour.
    """
    address = f"{secrets.token_hex(CONF.stand_in_bytes)}{CONF.stand_in_domain}"
    user = User.objects.create_user(address, password)
    EmailAddress.objects.create(user=user, email=address, primary=True)
    signup_begun(user=user, now=now)


def signup_finished(*, user: User) -> None:
    """Note that its owner has come in: the address is shown to be the owner's."""
    User.objects.filter(pk=user.pk, unfinished_since__isnull=False).update(unfinished_since=None)


def other_addresses_forget(*, user: User) -> None:
    """Forget all addresses of a user but the present one.

    One that is not confirmed yet is, by a code, at the next sign-in.
    """
    EmailAddress.objects.filter(user=user).exclude(email__iexact=user.email).delete()


@dataclass(frozen=True, slots=True)
class FreshAccount:
    """An account that was just made, and its password."""

    email: str
    password: str


@transaction.atomic
def first_accounts_make(*, domain: str) -> list[FreshAccount]:
    """Make a superadmin and an operator where there is none; return those made now.

    Their addresses count as verified: nobody reads mail there.
    """
    made: list[FreshAccount] = []
    is_begun = User.objects.filter(is_superuser=True).exists()
    grants: list[tuple[str, Callable[[User], None]]] = [
        ("superadmin", _grant_superadmin),
        ("operator", lambda user: roles.role_grant_operator(user=user)),
    ]
    for name, grant in grants:
        email = f"{name}@{domain}"
        user = selectors.user_by_email(email=email)
        if user is None and is_begun:
            continue
        if user is None:
            password = secrets.token_urlsafe(CONF.password_bytes)
            user = User.objects.create_user(email, password)
            grant(user)
            made.append(FreshAccount(email, password))
        EmailAddress.objects.get_or_create(
            user=user, email=user.email, defaults={"verified": True, "primary": True}
        )
    return made


def _grant_superadmin(user: User) -> None:
    user.is_superuser = True
    user.save(update_fields=["is_superuser"])
