"""The owner of a key is told by mail: of a new secret, and of a key's last days, once."""

import smtplib
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.utils import timezone

from apps.accounts.keys import services
from apps.accounts.keys.notices import api_keys_expiring_tell
from apps.accounts.models import ApiKey, User
from apps.accounts.tasks import tell_of_expiring_keys
from tests.clients import SiteClient

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("models")]


def last_mail() -> str:
    """Return the text of the only mail, which has no secret in it."""
    [sent] = mail.outbox
    assert sent.to == ["reader@example.org"]
    text = f"{sent.subject}\n{sent.body}"
    for key in ApiKey.objects.all():
        assert f"{key.prefix}_" not in text
    return text


def test_a_new_key_is_told_of_with_where_it_was_made(browser: SiteClient) -> None:
    mail.outbox.clear()
    form = {"name": "<i>laptop</i>", "expires": "never"}
    browser.post("/keys/new/", form, headers={"user-agent": "Lynx/2.9"})
    key, text = ApiKey.objects.get(), last_mail()
    assert text.startswith("Your account has a new API key\n")
    assert f"“<i>laptop</i>” ({key.prefix}) was made" in text
    assert "conversations" not in text
    assert "127.0.0.1, by Lynx/2.9" in text
    assert f"http://user.motherfluxer.localhost/keys/{key.pk}/" in text
    sent: Any = mail.outbox[0]
    [(html, kind)] = sent.alternatives
    assert kind == "text/html"
    assert "&lt;i&gt;laptop&lt;/i&gt;" in html


def test_a_new_secret_is_told_of_too(browser: SiteClient, user: User) -> None:
    mail.outbox.clear()
    key, _ = services.api_key_issue(user=user, name="x", may_manage=True)
    form = {"grace": "0", "rotated_before": key.rotation_mark}
    browser.post(f"/keys/{key.pk}/rotate/", form)
    text = last_mail()
    assert text.startswith("An API key of yours has a new secret\n")
    assert "read your conversations" in text


def test_what_was_refused_is_not_told_of(browser: SiteClient, user: User) -> None:
    key, _ = services.api_key_issue(user=user, name="x")
    mail.outbox.clear()
    browser.post("/keys/new/", {"name": "x", "expires": "never"})
    browser.post(f"/keys/{key.pk}/rotate/", {"grace": "0", "rotated_before": "nonsense"})
    assert mail.outbox == []


def expiring(user: User, *, left: timedelta, lived: timedelta = timedelta(days=300)) -> ApiKey:
    """Make a key that has lived for so long and has so much left."""
    now = timezone.now()
    key, _ = services.api_key_issue(user=user, name="x", expires_at=now + left)
    ApiKey.objects.filter(pk=key.pk).update(created_at=now - lived)
    return key


def test_a_keys_last_days_are_told_of_once(user: User) -> None:
    key = expiring(user, left=timedelta(days=8))
    tell_of_expiring_keys()
    assert mail.outbox == []
    ApiKey.objects.update(expires_at=timezone.now() + timedelta(days=6))
    tell_of_expiring_keys()
    text = last_mail()
    assert key.prefix in text
    assert "It was never used." in text
    assert "http://user.motherfluxer.localhost" in text
    tell_of_expiring_keys()
    assert len(mail.outbox) == 1


def test_who_could_not_be_told_is_told_the_next_time(
    user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_self: object) -> None:
        raise smtplib.SMTPServerDisconnected

    expiring(user, left=timedelta(days=6))
    with monkeypatch.context() as broken:
        broken.setattr(mail.EmailMultiAlternatives, "send", refuse)
        assert api_keys_expiring_tell(now=timezone.now()) == 0
    assert api_keys_expiring_tell(now=timezone.now()) == 1
    assert "It was never used." in last_mail()


def test_nobody_is_told_of_what_is_no_news(user: User) -> None:
    expired = expiring(user, left=timedelta(days=1))
    ApiKey.objects.filter(pk=expired.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    revoked = expiring(user, left=timedelta(days=1))
    services.api_key_revoke(user=user, key_id=revoked.pk)
    expiring(user, left=timedelta(days=6), lived=timedelta(days=1))  # made for a week
    leaving = User.objects.create_user("leaving@example.org", deletion_at=timezone.now())
    expiring(leaving, left=timedelta(days=1))
    assert api_keys_expiring_tell(now=timezone.now()) == 0
    assert mail.outbox == []
