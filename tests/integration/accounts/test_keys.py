"""API keys: the command and the user's page."""

from io import StringIO

import pytest
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command

from apps.accounts.keys import services
from apps.accounts.models import ApiKey, User
from motherfluxer_wire.tokens import parse_token
from tests.clients import SiteClient


@pytest.fixture
def user() -> User:
    return get_user_model().objects.create_user("reader@example.org", "a long password")


@pytest.fixture
def browser(user: User) -> SiteClient:
    client = SiteClient("user")
    client.force_login(user)
    return client


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
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--user", "who@example.org", "--name", "x"), "No user 'who@example.org'"),
        (("--user", "nonsense", "--name", "x", "--create-user"), "not an e-mail address"),
        (("--user", "reader@example.org", "--name", " "), "1 to 64"),
    ],
)
def test_the_command_says_in_words_what_is_wrong(
    user: User, arguments: tuple[str, ...], says: str
) -> None:
    with pytest.raises(CommandError, match=says):
        _create(*arguments)


@pytest.mark.django_db
def test_a_user_creates_sees_once_and_revokes_a_key(browser: SiteClient) -> None:
    shown = browser.post("/keys/new/", {"name": "laptop"})
    assert "no-store" in shown.headers["Cache-Control"]
    key = ApiKey.objects.get()
    body = shown.content.decode()
    assert body.count(f"{key.prefix}_") == 1
    again = browser.get("/keys/").content.decode()
    assert key.prefix in again
    assert f"{key.prefix}_" not in again
    assert browser.post("/keys/new/", {"name": "laptop"}).status_code == 400
    browser.post(f"/keys/{key.pk}/revoke/")
    assert key.prefix not in browser.get("/keys/").content.decode()


@pytest.mark.django_db
def test_nobody_revokes_another_users_key(browser: SiteClient) -> None:
    other = get_user_model().objects.create_user("other@example.org")
    key, _ = services.api_key_issue(user=other, name="x")
    browser.post(f"/keys/{key.pk}/revoke/")
    key.refresh_from_db()
    assert key.revoked_at is None


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("method", "path"), [("get", "/keys/"), ("post", "/keys/new/"), ("post", "/keys/1/revoke/")]
)
def test_keys_are_for_those_signed_in(method: str, path: str) -> None:
    response = getattr(SiteClient("user"), method)(path)
    assert response.status_code == 302
    assert response.headers["Location"].startswith("/accounts/login/")
