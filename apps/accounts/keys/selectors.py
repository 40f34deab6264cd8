"""Reads API keys."""

from django.db.models import QuerySet

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
