"""Old texts get the new key beside a site that goes on."""

from io import StringIO

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal import auth as totp_auth
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command
from django.db import connection
from pytest_django import Settings

from apps.accounts.models import User
from apps.chat import key_rotation
from apps.chat.fields import text_decrypt
from apps.chat.models import Conversation, Message
from apps.field_keys import Rotation

pytestmark = pytest.mark.django_db

OLD, NEW = (Fernet.generate_key().decode() for _ in range(2))


@pytest.fixture
def talk(settings: Settings) -> Conversation:
    """Return a conversation of three messages under the old key."""
    settings.FIELD_ENCRYPTION_KEYS = [OLD]
    user = User.objects.create_user(email="ada@example.org", password="a-long-password")
    made = Conversation.objects.create(owner=user, title="A title")
    for number in range(3):
        Message.objects.create(conversation=made, number=number, content=f"Text é {number}")
    return made


def rotate() -> str:
    out = StringIO()
    call_command("rotate_field_keys", stdout=out)
    return out.getvalue()


def stored() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT content FROM chat_message ORDER BY number")
        return [row[0] for row in cursor.fetchall()]


def test_old_key_is_needed_no_more(talk: Conversation, settings: Settings) -> None:
    updated = Conversation.objects.get().updated
    settings.FIELD_ENCRYPTION_KEYS = [NEW, OLD]
    assert rotate() == "5 texts encrypted anew, 0 were already.\n"  # title, draft, three messages
    assert rotate() == "0 texts encrypted anew, 5 were already.\n"
    settings.FIELD_ENCRYPTION_KEYS = [NEW]
    contents = Message.objects.order_by("number").values_list("content", flat=True)
    assert list(contents) == ["Text é 0", "Text é 1", "Text é 2"]
    assert Conversation.objects.get().title == "A title"
    assert Conversation.objects.get().updated == updated


def test_every_batch_is_reached(
    talk: Conversation, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_rotation, "_BATCH", 2)
    settings.FIELD_ENCRYPTION_KEYS = [NEW, OLD]
    assert rotate().startswith("5 texts")


def test_text_that_no_key_opens_is_told_and_left(talk: Conversation, settings: Settings) -> None:
    before = stored()
    settings.FIELD_ENCRYPTION_KEYS = [NEW]
    with pytest.raises(CommandError, match="5 texts open with none"):
        rotate()
    assert stored() == before


def test_text_that_changes_meanwhile_is_not_written_over(
    talk: Conversation, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.FIELD_ENCRYPTION_KEYS = [NEW, OLD]
    fresh = Rotation.fresh

    def fresh_late(self: Rotation, stored: str) -> str | None:
        if text_decrypt(stored) == "Text é 1":
            Message.objects.filter(number=1).update(content="Changed meanwhile")
        return fresh(self, stored)

    monkeypatch.setattr(Rotation, "fresh", fresh_late)
    rotate()
    assert Message.objects.get(number=1).content == "Changed meanwhile"


def test_second_factors_work_with_the_new_key_alone(talk: Conversation, settings: Settings) -> None:
    user = User.objects.get()
    secret = totp_auth.generate_totp_secret()
    totp_auth.TOTP.activate(user, secret)
    codes = RecoveryCodes.activate(user).generate_codes()
    settings.FIELD_ENCRYPTION_KEYS = [NEW, OLD]
    assert rotate() == "7 texts encrypted anew, 0 were already.\n"
    settings.FIELD_ENCRYPTION_KEYS = [NEW]
    totp, recovery = (
        Authenticator.objects.get(type=kind).wrap()
        for kind in (Authenticator.Type.TOTP, Authenticator.Type.RECOVERY_CODES)
    )
    counter = next(totp_auth.yield_hotp_counters_from_time())
    code = totp_auth.format_hotp_value(totp_auth.hotp_value(secret, counter))
    assert totp.validate_code(code)
    assert recovery.generate_codes() == codes
