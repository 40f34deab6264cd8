"""The deploy checks that Django does not have."""

from typing import Any

import pytest
from cryptography.fernet import Fernet
from pytest_django import Settings

from motherfluxer import checks

KEY = Fernet.generate_key().decode()
GOOD: dict[str, Any] = {
    "TRUSTED_PROXIES": ["10.0.0.0/8"],
    "SECURE_SSL_REDIRECT": True,
    "MOTHERFLUXER_DOMAIN": "motherfluxer.example",
    "ALLOWED_HOSTS": [
        "motherfluxer.example",
        *(f"{name}.motherfluxer.example" for name in ("user", "admin", "superadmin")),
    ],
    "FIELD_ENCRYPTION_KEYS": [KEY],
    "METRICS_TOKEN": "m" * 32,
}


def found(settings: Settings, **changes: Any) -> list[str | None]:
    """Return the ids of what is found with these settings."""
    for name, value in {**GOOD, **changes}.items():
        setattr(settings, name, value)
    every = (checks.check_proxies, checks.check_hosts, checks.check_keys)
    return [message.id for check in every for message in check()]


def test_good_settings_are_clean(settings: Settings) -> None:
    assert found(settings) == []
    assert found(settings, METRICS_TOKEN=None) == []


@pytest.mark.parametrize(
    ("changes", "found_id"),
    [
        ({"TRUSTED_PROXIES": []}, "motherfluxer.W001"),
        ({"ALLOWED_HOSTS": [".motherfluxer.example"]}, "motherfluxer.E001"),
        ({"ALLOWED_HOSTS": ["*"]}, "motherfluxer.E001"),
        ({"FIELD_ENCRYPTION_KEYS": [KEY, "secret"]}, "motherfluxer.E002"),
        ({"METRICS_TOKEN": "guess"}, "motherfluxer.W002"),
    ],
)
def test_what_is_wrong_is_named(settings: Settings, changes: dict[str, Any], found_id: str) -> None:
    assert found(settings, **changes) == [found_id]


def test_a_site_without_tls_needs_no_proxy(settings: Settings) -> None:
    assert found(settings, TRUSTED_PROXIES=[], SECURE_SSL_REDIRECT=False) == []
