"""Reads API keys."""

from datetime import datetime

from django.db.models import F, QuerySet

from apps.accounts.errors import ApiKeyUnknownError
from apps.accounts.keys.models import ApiKey


def api_keys_of(*, user_id: int) -> QuerySet[ApiKey]:
    """Return all keys that a user has ever had, the revoked ones too."""
    return ApiKey.objects.filter(user_id=user_id)


def api_keys_live(*, user_id: int) -> QuerySet[ApiKey]:
    """Return a user's keys that are not revoked; some may have expired."""
    return api_keys_of(user_id=user_id).filter(revoked_at=None)


def api_key_live(*, user_id: int, key_id: int) -> ApiKey:
    """Return one of a user's keys that is not revoked. Raises ApiKeyUnknownError."""
    key = api_keys_live(user_id=user_id).filter(pk=key_id).first()
    if key is None:
        raise ApiKeyUnknownError
    return key


def api_key_of_token(*, token_id: str) -> ApiKey | None:
    """Return the key with that public id, its user read in the same query."""
    return ApiKey.objects.select_related("user").filter(token_id=token_id).first()


def api_keys_expiring(*, now: datetime, until: datetime) -> QuerySet[ApiKey]:
    """Return the keys that expire until then and whose owner has not been told.

    Left out are those of people who can't use their account, and those that were made for so
    short a time that telling is no news.
    """
    return ApiKey.objects.select_related("user").filter(
        expires_at__gt=now,
        expires_at__lte=until,
        created_at__lt=F("expires_at") - 2 * (until - now),
        expiry_told_at=None,
        revoked_at=None,
        user__is_active=True,
        user__deletion_at=None,
    )
