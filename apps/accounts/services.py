"""Creates users, issues and revokes API keys, and makes the accounts of the first run."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.utils import timezone

from apps.accounts import roles, selectors
from apps.accounts.conf import CONF
from apps.accounts.errors import (
    AddressInvalidError,
    ApiKeyNameError,
    ApiKeyTooManyError,
    ApiKeyUnknownError,
)
from apps.accounts.models import ApiKey, User
from motherfluxer_wire.tokens import API_KEY_PREFIX, make_token


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


@transaction.atomic
def api_key_issue(
    *, user: User, name: str, expires_at: datetime | None = None, is_name_fresh: bool = False
) -> tuple[ApiKey, str]:
    """Issue an API key; return it and its text, which is kept nowhere.

    `is_name_fresh` refuses a name that the user has in use, so that a form sent again by a
    reload issues nothing.

    Raises ApiKeyNameError, ApiKeyTooManyError.
    """
    name = name.strip()
    if not name or not name.isprintable() or len(name) > CONF.api_key_name_chars:
        raise ApiKeyNameError(f"A name has 1 to {CONF.api_key_name_chars} visible characters.")
    live = ApiKey.objects.filter(user=user, revoked_at=None)
    if is_name_fresh and live.filter(name=name).exists():
        raise ApiKeyNameError(f"There is a key named '{name}' already. Choose another name.")
    if live.count() >= CONF.api_keys_of_user_count:
        raise ApiKeyTooManyError(CONF.api_keys_of_user_count)
    token = make_token(API_KEY_PREFIX, secrets.randbelow)
    key = ApiKey.objects.create(
        user=user, name=name, token_id=token.id, digest=token.digest, expires_at=expires_at
    )
    return key, token.text


def api_key_revoke(*, user: User, key_id: int) -> ApiKey:
    """Revoke one of a user's keys; it is refused from the next request on.

    Raises ApiKeyUnknownError.
    """
    mine = ApiKey.objects.filter(user=user, pk=key_id)
    if not mine.filter(revoked_at=None).update(revoked_at=timezone.now()):
        raise ApiKeyUnknownError
    return mine.get()


def api_key_used(*, key: ApiKey, now: datetime) -> None:
    """Note that a key was used; rarely, so that reading stays the only cost of most requests."""
    last = key.last_used_at
    if last is None or (now - last).total_seconds() >= CONF.api_key_used_every_s:
        ApiKey.objects.filter(pk=key.pk).update(last_used_at=now)


@dataclass(frozen=True, slots=True)
class FreshAccount:
    """An account that was just made, and its password."""

    email: str
    password: str


@transaction.atomic
def first_accounts_make(*, domain: str) -> list[FreshAccount]:
    """Make the superadmin and an operator where they are missing; return those made now."""
    made: list[FreshAccount] = []
    grants: list[tuple[str, Callable[[User], None]]] = [
        ("superadmin", _grant_superadmin),
        ("operator", lambda user: roles.role_grant_operator(user=user)),
    ]
    for name, grant in grants:
        email = f"{name}@{domain}"
        if selectors.user_by_email(email=email) is None:
            password = secrets.token_urlsafe(CONF.password_bytes)
            grant(User.objects.create_user(email, password))
            made.append(FreshAccount(email, password))
    return made


def _grant_superadmin(user: User) -> None:
    user.is_superuser = True
    user.save(update_fields=["is_superuser"])
