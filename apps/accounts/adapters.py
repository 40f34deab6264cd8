"""What allauth asks the project: when to ask again, and how to keep second factors."""

import time
from functools import cache
from typing import Any

from allauth.account import app_settings
from allauth.account.authentication import get_authentication_records
from allauth.core import context
from allauth.mfa.adapter import DefaultMFAAdapter
from cryptography.fernet import Fernet, MultiFernet
from django.conf import settings

from apps.accounts.guarding.adapter import GuardedAdapter


class AccountAdapter(GuardedAdapter):
    """Allauth's own, guarded; and a fresh sign-in counts as a password given again."""

    def is_reauthentication_required(self, *, app: str, **kwargs: Any) -> bool:
        """Ask again for the password, unless the whole sign-in was a moment ago."""
        required = super().is_reauthentication_required(app=app, **kwargs)
        return bool(required and not _signed_in_just_now(context.request))


def _signed_in_just_now(request: Any) -> bool:
    records = get_authentication_records(request, request.user)
    given = [record["at"] for record in records if record["method"] in ("password", "mfa")]
    return bool(given) and time.time() - max(given) < app_settings.REAUTHENTICATION_TIMEOUT


class SecondFactorAdapter(DefaultMFAAdapter):  # type: ignore[misc]  # allauth has no types
    """Keeps secrets encrypted; a passkey is good on all four sites."""

    def encrypt(self, text: str) -> str:
        """Encrypt with the first of `settings.FIELD_ENCRYPTION_KEYS`."""
        return _cipher(tuple(settings.FIELD_ENCRYPTION_KEYS)).encrypt(text.encode()).decode()

    def decrypt(self, encrypted_text: str) -> str:
        """Decrypt with whichever key fits. Raises cryptography.fernet.InvalidToken."""
        stored = encrypted_text.encode()
        return _cipher(tuple(settings.FIELD_ENCRYPTION_KEYS)).decrypt(stored).decode()

    def get_public_key_credential_rp_entity(self) -> dict[str, str]:
        """Name the domain, so that a passkey made on one site is offered on the others."""
        return {"id": settings.MOTHERFLUXER_DOMAIN, "name": "MotherFluxer"}


@cache
def _cipher(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])
