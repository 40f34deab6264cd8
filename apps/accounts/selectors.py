"""Reads users and API keys."""

from django.db.models import QuerySet

from apps.accounts.models import ApiKey, User


def user_by_email(*, email: str) -> User | None:
    """Return the user with that address, whatever its case."""
    return User.objects.filter(email__iexact=email).first()


def api_keys_live(*, user: User) -> QuerySet[ApiKey]:
    """Return a user's keys that are not revoked."""
    return ApiKey.objects.filter(user=user, revoked_at=None)


def api_key_of_token(*, token_id: str) -> ApiKey | None:
    """Return the key with that public id, its user read in the same query."""
    return ApiKey.objects.select_related("user").filter(token_id=token_id).first()
