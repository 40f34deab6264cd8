"""The command that creates API keys."""

from datetime import timedelta
from io import StringIO

import pytest
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.utils import timezone

from apps.accounts.models import ApiKey, User
from motherfluxer_wire.tokens import parse_token

_OF_READER = ("--user", "reader@example.org", "--name", "x")


@pytest.fixture
def user() -> User:
    return get_user_model().objects.create_user("reader@example.org", "a long password")


def _create(*arguments: str) -> str:
    out = StringIO()
    call_command("create_api_key", *arguments, stdout=out)
    return out.getvalue()


@pytest.mark.django_db
def test_the_command_prints_the_key_and_nothing_else() -> None:
    text = _create("--user", "New@Example.org", "--name", "a", "--create-user")
    token = parse_token("mf", text.removesuffix("\n"))
    assert token is not None
    key = ApiKey.objects.get()
    assert (key.token_id, key.digest) == (token.id, token.digest)
    assert key.user.email == "new@example.org"
    assert not key.user.has_usable_password()
    again = _create("--user", "new@example.org", "--name", "a", "--create-user")
    assert again != text
    assert User.objects.count() == 1
    assert ApiKey.objects.count() == 2


@pytest.mark.django_db
def test_a_key_of_the_command_opens_everything_unless_told_otherwise(user: User) -> None:
    _create(*_OF_READER)
    key = ApiKey.objects.get()
    assert (key.allowed_models, key.requests_per_minute, key.expires_at) == (None, None, None)
    assert key.may_manage
    key.delete()
    _create(
        *(*_OF_READER, "--inference-only", "--models", "lab/b, lab/a,lab/b"),
        *("--requests-per-minute", "3000", "--expires-days", "7"),
    )
    key = ApiKey.objects.get()
    assert (key.allowed_models, key.requests_per_minute) == (["lab/a", "lab/b"], 3000)
    assert not key.may_manage
    assert key.expires_at is not None
    assert timedelta(days=6, hours=23) < key.expires_at - timezone.now() <= timedelta(days=7)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--user", "who@example.org", "--name", "x"), "No user 'who@example.org'"),
        (("--user", "nonsense", "--name", "x", "--create-user"), "not an e-mail address"),
        (("--user", "reader@example.org", "--name", " "), "1 to 64"),
        ((*_OF_READER, "--models", "a,b b,\U0001f600"), "'\U0001f600' is not a model's name"),
        ((*_OF_READER, "--models", ","), "at least one model"),
        ((*_OF_READER, "--requests-per-minute", "0"), "1 to 100000 requests"),
        ((*_OF_READER, "--expires-days", "0"), "after 1 to 3650 days"),
    ],
)
def test_the_command_says_in_words_what_is_wrong(
    user: User, arguments: tuple[str, ...], says: str
) -> None:
    with pytest.raises(CommandError, match=says):
        _create(*arguments)
