"""Texts at rest."""

import pytest
from cryptography.fernet import Fernet, InvalidToken
from pytest_django import Settings

from apps.chat.fields import text_decrypt, text_encrypt


def test_text_is_not_readable_at_rest() -> None:
    stored = text_encrypt("a secret question")
    assert "secret" not in stored
    assert text_decrypt(stored) == "a secret question"


def test_older_key_still_reads_and_the_first_writes(settings: Settings) -> None:
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    settings.FIELD_ENCRYPTION_KEYS = [old]
    stored = text_encrypt("kept")
    settings.FIELD_ENCRYPTION_KEYS = [new, old]
    assert text_decrypt(stored) == "kept"
    fresh = text_encrypt("fresh")
    settings.FIELD_ENCRYPTION_KEYS = [new]
    assert text_decrypt(fresh) == "fresh"
    with pytest.raises(InvalidToken):
        text_decrypt(stored)
