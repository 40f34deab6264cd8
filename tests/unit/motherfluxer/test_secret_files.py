"""Secrets may stand in files; each has one place."""

from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from motherfluxer.env import SECRETS, has_given_secrets, read_environment


@pytest.fixture(autouse=True)
def _nothing_given(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in SECRETS:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Name an empty file for each secret."""
    for name in SECRETS:
        monkeypatch.setenv(f"{name}_FILE", str(tmp_path / name))
        (tmp_path / name).touch()
    return tmp_path


def test_a_secret_is_read_from_its_file(files: Path) -> None:
    (files / "SECRET_KEY").write_text("long and random\n")
    (files / "FIELD_ENCRYPTION_KEYS").write_text("new,old\n")
    (files / "REDIS_URL").write_text("redis://redis:6379/0\n")
    found = read_environment()
    assert found.secret_key == "long and random"
    assert found.field_encryption_keys == ["new", "old"]
    assert found.redis_url == "redis://redis:6379/0"
    assert has_given_secrets()


def test_an_empty_file_gives_nothing(files: Path) -> None:
    found = read_environment()
    assert found.redis_url is None
    assert found.sentry_dsn is None
    assert found.social_providers == {}
    assert not has_given_secrets()


def test_a_secret_has_one_place(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", "in the variable")
    with pytest.raises(ImproperlyConfigured, match="SECRET_KEY or SECRET_KEY_FILE"):
        read_environment()


def test_a_file_that_cannot_be_read_is_named(files: Path) -> None:
    (files / "DATABASE_URL").unlink()
    with pytest.raises(ImproperlyConfigured, match=r"DATABASE_URL_FILE .*: No such file"):
        read_environment()


def test_what_is_no_text_is_not_shown(files: Path) -> None:
    (files / "SECRET_KEY").write_bytes(b"\xffhidden")
    with pytest.raises(ImproperlyConfigured, match="it is no text") as caught:
        read_environment()
    assert "hidden" not in str(caught.value)


def test_only_secrets_are_read_from_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "domain").write_text("elsewhere.example")
    monkeypatch.delenv("MOTHERFLUXER_DOMAIN", raising=False)
    monkeypatch.setenv("MOTHERFLUXER_DOMAIN_FILE", str(tmp_path / "domain"))
    assert read_environment().domain == "motherfluxer.localhost"
