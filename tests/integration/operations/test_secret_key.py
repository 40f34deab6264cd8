"""A new SECRET_KEY signs nobody out while the old one is among the fallbacks."""

import pytest
from django.core import signing
from pytest_django import Settings

from apps.accounts.models import User
from tests.clients import SiteClient

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("is_kept", [True, False])
def test_session_and_signature_live_as_long_as_the_old_key_is_kept(
    settings: Settings, is_kept: bool
) -> None:
    client = SiteClient("user")
    client.force_login(User.objects.create_user(email="ada@example.org", password="a-long-pass"))
    signed = signing.dumps("a", salt="s")
    old, settings.SECRET_KEY = settings.SECRET_KEY, "another" * 10
    settings.SECRET_KEY_FALLBACKS = [old] if is_kept else []
    request = client.get("/").wsgi_request
    assert request.user.is_authenticated is is_kept
    if is_kept:
        assert signing.loads(signed, salt="s") == "a"
    else:
        with pytest.raises(signing.BadSignature):
            signing.loads(signed, salt="s")


@pytest.mark.parametrize("is_known", [True, False])
def test_session_goes_from_new_processes_to_old_ones_that_know_the_new_key(
    settings: Settings, is_known: bool
) -> None:
    client = SiteClient("user")
    client.force_login(User.objects.create_user(email="ada@example.org", password="a-long-pass"))
    old, new = settings.SECRET_KEY, "another" * 10
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = new, [old]
    assert client.get("/").wsgi_request.user.is_authenticated
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = old, [new] if is_known else []
    assert client.get("/").wsgi_request.user.is_authenticated is is_known
