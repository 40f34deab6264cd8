"""API keys: the gate, the command and the user's page."""

from datetime import timedelta
from io import StringIO

import pytest
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.utils import timezone

from apps.accounts import services
from apps.accounts.gate import ApiKeyGate
from apps.accounts.models import ApiKey, User
from motherfluxer_wire.tokens import make_token, parse_token
from tests.clients import SiteClient


@pytest.fixture
def user() -> User:
    return get_user_model().objects.create_user("reader@example.org", "a long password")


@pytest.fixture
def browser(user: User) -> SiteClient:
    client = SiteClient("user")
    client.force_login(user)
    return client


@pytest.mark.django_db(transaction=True)
async def test_the_gate_tells_whose_a_key_is_until_it_ends() -> None:
    reader = await User.objects.acreate(email="Reader@Example.org")
    key = await ApiKey.objects.acreate(user=reader, name="x", **_stored())
    gate = ApiKeyGate()
    caller = await gate.identify(_TOKEN.text)
    assert caller is not None
    assert (caller.requester, caller.user_id) == (f"user:{reader.pk}", reader.pk)
    await key.arefresh_from_db()
    first_used = key.last_used_at
    assert first_used is not None
    await gate.identify(_TOKEN.text)
    await key.arefresh_from_db()
    assert key.last_used_at == first_used  # written at most once a minute
    for changes in ({"revoked_at": timezone.now()}, {"expires_at": timezone.now()}):
        await ApiKey.objects.aupdate(**{"revoked_at": None, "expires_at": None, **changes})
        assert await gate.identify(_TOKEN.text) is None
    await ApiKey.objects.aupdate(
        revoked_at=None, expires_at=timezone.now() + timedelta(days=1), last_used_at=None
    )
    assert await gate.identify(_TOKEN.text) is not None
    await User.objects.aupdate(is_active=False)
    assert await gate.identify(_TOKEN.text) is None


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("wrong", [None, "", "mf_", "é\x00", make_token("mf", lambda _: 1).text])
async def test_the_gate_knows_no_wrong_key(wrong: str | None) -> None:
    assert await ApiKeyGate().identify(wrong) is None


_TOKEN = make_token("mf", lambda _: 5)


def _stored() -> dict[str, str]:
    return {"token_id": _TOKEN.id, "digest": _TOKEN.digest}


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
