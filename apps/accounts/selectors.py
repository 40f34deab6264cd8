"""Reads users."""

from apps.accounts.models import User


def user_by_email(*, email: str) -> User | None:
    """Return the user with that address, whatever its case."""
    return User.objects.filter(email__iexact=email).first()
