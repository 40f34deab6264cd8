"""Issues, rotates and revokes API keys, and notes their use."""

import logging
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec
from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from apps.accounts.conf import CONF
from apps.accounts.errors import (
    ApiKeyExpiredError,
    ApiKeyNameError,
    ApiKeyRotatedError,
    ApiKeyScopeError,
    ApiKeyTooManyError,
    ApiKeyTooOftenError,
    ApiKeyUnknownError,
)
from apps.accounts.keys import selectors
from apps.accounts.keys.models import ApiKey
from apps.accounts.models import User
from motherfluxer_wire.fields import ModelName
from motherfluxer_wire.tokens import API_KEY_PREFIX, make_token, rotate_token

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyUse:
    """When and from where a key was used."""

    key_pk: int
    at: datetime
    address: str


@transaction.atomic
def api_key_issue(
    *,
    user: User,
    name: str,
    allowed_models: Iterable[str] | None = None,
    requests_per_minute: int | None = None,
    may_manage: bool = False,
    expires_at: datetime | None = None,
    is_name_fresh: bool = False,
    is_from_site: bool = False,
) -> tuple[ApiKey, str]:
    """Issue an API key; return it and its text, which is kept nowhere.

    `allowed_models` None: any. `requests_per_minute` None: the site's figure. `is_name_fresh`
    refuses a name that the user has in use, so that a form sent again by a reload issues nothing.
    `is_from_site` lets a key have more requests than the site's figure: no user gives himself more.

    Raises ApiKeyNameError, ApiKeyScopeError, ApiKeyTooManyError, ApiKeyTooOftenError.
    """
    name = _checked_name(name)
    models = None if allowed_models is None else _checked_models(allowed_models)
    _check_limits(requests_per_minute, expires_at, is_from_site=is_from_site)
    User.objects.select_for_update().get(pk=user.pk)  # two at once would both find room
    _check_room(user.pk)
    live = selectors.api_keys_live(user_id=user.pk)
    if is_name_fresh and live.filter(name=name).exists():
        raise ApiKeyNameError(f"There is a key named '{name}' already. Choose another name.")
    token = make_token(API_KEY_PREFIX, secrets.randbelow)
    key = ApiKey.objects.create(
        user=user,
        name=name,
        token_id=token.id,
        digest=token.digest,
        allowed_models=models,
        requests_per_minute=requests_per_minute,
        may_manage=may_manage,
        expires_at=expires_at,
    )
    _log("api key issued", key)
    return key, token.text


@transaction.atomic
def api_key_rotate(
    *, user: User, key_id: int, grace: timedelta, rotated_before: str | None = None
) -> tuple[ApiKey, str]:
    """Give a key a new secret; return it and its text, which is kept nowhere.

    Name, id, scope and what is counted stay. The secret until now is good for `grace` more; one
    from before that ends at once. `rotated_before` is `key.rotation_mark` as a form showed it: so
    the form sent again by a reload rotates nothing.

    Raises ApiKeyUnknownError, ApiKeyExpiredError, ApiKeyRotatedError.
    """
    now = timezone.now()
    live = selectors.api_keys_live(user_id=user.pk)
    key = live.select_for_update().filter(pk=key_id).first()
    if key is None:
        raise ApiKeyUnknownError
    if key.state_at(now) != "valid":
        raise ApiKeyExpiredError
    if rotated_before is not None and rotated_before != key.rotation_mark:
        raise ApiKeyRotatedError
    token = rotate_token(API_KEY_PREFIX, key.token_id, secrets.randbelow)
    key.previous_digest, key.previous_until = (key.digest, now + grace) if grace else ("", None)
    key.digest = token.digest
    key.rotated_at = now
    key.save(update_fields=["digest", "previous_digest", "previous_until", "rotated_at"])
    _log("api key rotated", key, grace_s=grace.total_seconds())
    return key, token.text


def api_key_revoke(*, user: User, key_id: int) -> ApiKey:
    """Revoke one of a user's keys; within a second every process refuses it.

    Raises ApiKeyUnknownError.
    """
    key = selectors.api_key_live(user_id=user.pk, key_id=key_id)
    ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=timezone.now())
    key.refresh_from_db()
    _log("api key revoked", key)
    return key


def api_keys_note_use(*, uses: Iterable[KeyUse]) -> None:
    """Note when and from where keys were used, unless another process did so just before."""
    for use in sorted(uses, key=lambda use: use.key_pk):  # in one order: no two writers deadlock
        long_ago = use.at - timedelta(seconds=CONF.api_key_used_every_s)
        is_due = Q(last_used_at=None) | Q(last_used_at__lte=long_ago)
        ApiKey.objects.filter(is_due, pk=use.key_pk).update(
            last_used_at=use.at, last_used_address=use.address[:64].replace("\x00", "")
        )


def api_key_expiry_claim(*, key: ApiKey, now: datetime) -> bool:
    """Note that the owner is told that a key expires; False when another process does it."""
    return bool(ApiKey.objects.filter(pk=key.pk, expiry_told_at=None).update(expiry_told_at=now))


def api_key_expiry_release(*, key: ApiKey) -> None:
    """Take that note back: the owner could not be told."""
    ApiKey.objects.filter(pk=key.pk).update(expiry_told_at=None)


def api_keys_remove_old(*, now: datetime) -> int:
    """Delete keys that ended long ago and whose figures are gone; return how many."""
    long_ago = now - timedelta(days=CONF.usage_kept_days)
    ended = Q(revoked_at__lt=long_ago) | Q(expires_at__lt=long_ago)
    removed, _ = ApiKey.objects.filter(ended, usage=None).delete()
    return removed


def expiry_after(*, days: int) -> datetime:
    """Return the moment that is so many days from now. Raises ApiKeyScopeError."""
    if not 1 <= days <= CONF.api_key_days:
        raise ApiKeyScopeError(f"A key expires after 1 to {CONF.api_key_days} days.")
    return timezone.now() + timedelta(days=days)


def _checked_name(name: str) -> str:
    name = name.strip()
    if not name or not name.isprintable() or len(name) > CONF.api_key_name_chars:
        raise ApiKeyNameError(f"A name has 1 to {CONF.api_key_name_chars} visible characters.")
    return name


def _checked_models(names: Iterable[str]) -> list[str]:
    chosen = sorted(set(names))
    if not chosen:
        raise ApiKeyScopeError("Choose at least one model, or any.")
    if len(chosen) > CONF.api_key_models_count:
        raise ApiKeyScopeError(f"A key names at most {CONF.api_key_models_count} models.")
    for name in chosen:
        try:
            msgspec.convert(name, ModelName)
        except msgspec.ValidationError as error:
            raise ApiKeyScopeError(f"'{name}' is not a model's name.") from error
    return chosen


def _check_room(user_id: int) -> None:
    if selectors.api_keys_live(user_id=user_id).count() >= CONF.api_keys_of_user_count:
        raise ApiKeyTooManyError(CONF.api_keys_of_user_count)
    today = Q(created_at__gt=timezone.now() - timedelta(days=1))
    if selectors.api_keys_of(user_id=user_id).filter(today).count() >= CONF.api_keys_a_day_count:
        raise ApiKeyTooOftenError(CONF.api_keys_a_day_count)


def _check_limits(
    requests_per_minute: int | None, expires_at: datetime | None, *, is_from_site: bool
) -> None:
    most = CONF.api_key_requests_per_minute
    if not is_from_site:
        most = min(most, settings.API_REQUESTS_PER_MINUTE)
    if requests_per_minute is not None and not 1 <= requests_per_minute <= most:
        raise ApiKeyScopeError(f"The limit is 1 to {most} requests a minute.")
    if expires_at is not None and expires_at <= timezone.now():
        raise ApiKeyScopeError("It would have expired already.")


def _log(event: str, key: ApiKey, **figures: object) -> None:
    log.info(event, extra={"key": key.token_id, "user": key.user_id, **figures})
