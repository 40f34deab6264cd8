"""Looks at passwords: one hash and the same queries, whether or not an address is known."""

from typing import Any

from allauth.account.auth_backends import AuthenticationBackend
from allauth.account.models import EmailAddress
from django.contrib.auth import get_user_model
from django.contrib.auth.base_user import AbstractBaseUser
from django.utils import timezone


class EvenBackend(AuthenticationBackend):  # type: ignore[misc]  # allauth has no types
    """Allauth's own, which also hashes where there is nobody, but asks once more then."""

    def _authenticate_by_email(self, email: str, password: str) -> AbstractBaseUser | None:
        address = email.lower()
        rows = EmailAddress.objects.filter(email=address).select_related("user")
        shown = rows.order_by("-verified", "pk").first()
        signed_up = get_user_model().objects.filter(email=address).first()
        user: Any = shown.user if shown is not None and shown.verified else signed_up
        if user is not None and user.is_left_over_at(timezone.now()):
            user = None  # as long as it is remembered that somebody signed up with a known address
        found: AbstractBaseUser | None = self._check_password(user, password)
        return found
