"""Reads users."""

from allauth.account.models import EmailAddress
from django.db.models import QuerySet

from apps.accounts.models import User


def user_by_email(*, email: str) -> User | None:
    """Return the user with that address, whatever its case."""
    return User.objects.filter(email__iexact=email).first()


def addresses_of(*, user_id: int) -> frozenset[str]:
    """Return all addresses of a user, verified or not, in lower case."""
    own = User.objects.filter(pk=user_id).values_list("email", flat=True)
    more = EmailAddress.objects.filter(user_id=user_id).values_list("email", flat=True)
    return frozenset(address.lower() for address in (*own, *more))


def addresses_verified_of(*, user_id: int) -> frozenset[str]:
    """Return those addresses of a user that were shown to be the user's own, in lower case."""
    found = EmailAddress.objects.filter(user_id=user_id, verified=True)
    return frozenset(address.lower() for address in found.values_list("email", flat=True))


def superadmins_active() -> QuerySet[User]:
    """Return those who may see and steer everything."""
    return User.objects.filter(is_superuser=True, is_active=True, deletion_at=None)
