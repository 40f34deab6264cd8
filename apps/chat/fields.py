"""A text column that is encrypted at rest with rotating keys."""

from functools import cache
from typing import Any

from cryptography.fernet import Fernet, MultiFernet
from django.conf import settings
from django.db import models


@cache
def _cipher(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])


def text_encrypt(text: str) -> str:
    """Encrypt with the first of `settings.FIELD_ENCRYPTION_KEYS`."""
    return _cipher(tuple(settings.FIELD_ENCRYPTION_KEYS)).encrypt(text.encode()).decode()


def text_decrypt(stored: str) -> str:
    """Decrypt with whichever key fits. Raises cryptography.fernet.InvalidToken when none does."""
    return _cipher(tuple(settings.FIELD_ENCRYPTION_KEYS)).decrypt(stored.encode()).decode()


class EncryptedTextField(models.TextField):  # type: ignore[type-arg]
    """Text to Python, ciphertext to the database; it cannot be searched or compared there."""

    def get_prep_value(self, value: Any) -> Any:
        """Encrypt on the way in."""
        plain = super().get_prep_value(value)
        return None if plain is None else text_encrypt(plain)

    def from_db_value(self, value: str | None, *_: Any) -> str | None:
        """Decrypt on the way out."""
        return None if value is None else text_decrypt(value)
