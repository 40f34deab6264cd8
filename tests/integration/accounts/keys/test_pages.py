"""A user's keys in the browser: made, seen once, rotated, revoked; and nobody else's."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from apps.accounts.keys import services
from apps.accounts.models import ApiKey, User
from motherfluxer_wire.tokens import parse_token
from tests.clients import SiteClient
from tests.integration.accounts.conftest import confirm

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("models")]
LAPTOP = {"name": "laptop", "expires": "never"}


def shown_key(body: str) -> str:
    """Return the key that a page shows, which is there once and whole."""
    [text] = re.findall(r"mf_\w{12}_\w+", body)
    assert parse_token("mf", text) is not None
    return str(text)


def opens(text: str, *, after: timedelta = timedelta()) -> bool:
    """Whether a key's text lets somebody in, some time from now."""
    token = parse_token("mf", text)
    assert token is not None
    return ApiKey.objects.get(token_id=token.id).opens_for(token, timezone.now() + after)


def test_a_key_is_created_and_seen_once(browser: SiteClient) -> None:
    shown = browser.post("/keys/new/", LAPTOP)
    assert shown.status_code == 200
    assert "no-store" in shown.headers["Cache-Control"]
    assert opens(shown_key(shown.content.decode()))
    key = ApiKey.objects.get()
    assert (key.allowed_models, key.requests_per_minute, key.expires_at) == (None, None, None)
    assert not key.may_manage
    for path in ("/keys/", f"/keys/{key.pk}/"):
        again = browser.get(path).content.decode()
        assert key.prefix in again
        assert f"{key.prefix}_" not in again


def test_a_form_sent_again_creates_no_second_key(browser: SiteClient) -> None:
    browser.post("/keys/new/", LAPTOP)
    again = browser.post("/keys/new/", LAPTOP)
    assert again.status_code == 400
    assert "already" in again.content.decode()
    assert ApiKey.objects.count() == 1


def test_a_user_has_and_makes_only_so_many_keys(browser: SiteClient, user: User) -> None:
    for number in range(50):
        services.api_key_issue(user=user, name=str(number))
    full = browser.post("/keys/new/", LAPTOP)
    assert "There are 50 keys already" in full.content.decode()
    ApiKey.objects.update(revoked_at=timezone.now())
    for number in range(50):
        services.api_key_issue(user=user, name=str(number))
    ApiKey.objects.update(revoked_at=timezone.now())
    often = browser.post("/keys/new/", LAPTOP)
    assert "within a day" in often.content.decode()
    ApiKey.objects.update(created_at=timezone.now() - timedelta(days=1))
    assert browser.post("/keys/new/", LAPTOP).status_code == 200


def test_a_key_bears_what_was_chosen(browser: SiteClient) -> None:
    chosen = {"models": ["any", "lab/b"], "requests_per_minute": 20, "may_manage": "on"}
    browser.post("/keys/new/", {"name": "ci", "expires": "30", **chosen})
    key = ApiKey.objects.get()
    assert (key.allowed_models, key.requests_per_minute) == (["any", "lab/b"], 20)
    assert key.may_manage
    assert key.expires_at is not None
    assert timedelta(0) <= timezone.now() + timedelta(days=30) - key.expires_at < timedelta(hours=1)


def test_a_key_is_good_until_its_last_day_is_over(browser: SiteClient) -> None:
    day = (timezone.now() + timedelta(days=2)).astimezone(UTC).date()
    form = {"name": "x", "expires": "date", "expires_on": day.isoformat()}
    browser.post("/keys/new/", form)
    after = day + timedelta(days=1)
    assert ApiKey.objects.get().expires_at == datetime(*after.timetuple()[:3], tzinfo=UTC)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"name": " "}, "This field is required"),
        ({"name": "a\x07b"}, "visible characters"),
        ({"name": "x" * 65}, "at most 64"),
        ({"models": ["lab/secret"]}, "not one of the available choices"),
        ({"models": ["nonsense"]}, "not one of the available choices"),
        ({"requests_per_minute": "0"}, "greater than or equal to 1"),
        ({"requests_per_minute": "601"}, "1 to 600 requests a minute"),  # the site's figure
        ({"expires": "someday"}, "not one of the available choices"),
        ({"expires": "date"}, "Choose the date"),
        ({"expires": "date", "expires_on": "2020-01-01"}, "between today and ten years"),
        ({"expires": "date", "expires_on": "9999-12-31"}, "between today and ten years"),
        ({"expires": "date", "expires_on": "soon"}, "Enter a valid date"),
    ],
)
def test_what_makes_no_sense_is_said_beside_it_and_creates_nothing(
    browser: SiteClient, wrong: dict[str, object], says: str
) -> None:
    answer = browser.post("/keys/new/", {**LAPTOP, **wrong})
    assert answer.status_code == 400
    assert says in answer.content.decode()
    assert not ApiKey.objects.exists()


def test_the_models_to_choose_from_are_those_that_anybody_may_see(browser: SiteClient) -> None:
    body = browser.get("/keys/new/").content.decode()
    assert re.findall(r'name="models" value="([^"]+)"', body) == ["any", "lab/a", "lab/b"]
    assert "The Great B" in body
    assert "lab/secret" not in body


def test_an_old_sign_in_is_asked_for_the_password_and_goes_on_with_what_was_typed(
    old_browser: SiteClient,
) -> None:
    asked = old_browser.post("/keys/new/", {**LAPTOP, "requests_per_minute": 5})
    assert asked.status_code == 302
    assert asked.headers["Location"].startswith("/accounts/reauthenticate/")
    assert not ApiKey.objects.exists()
    shown = confirm(old_browser, "/keys/new/")
    assert "no-store" in shown.headers["Cache-Control"]
    assert opens(shown_key(shown.content.decode()))
    assert ApiKey.objects.get().requests_per_minute == 5


def test_rotating_asks_an_old_sign_in_too(old_browser: SiteClient, user: User) -> None:
    key, text = services.api_key_issue(user=user, name="x")
    path = f"/keys/{key.pk}/rotate/"
    form = {"grace": "0", "rotated_before": key.rotation_mark}
    assert old_browser.post(path, form).status_code == 302
    assert opens(text)
    shown = confirm(old_browser, path)
    assert opens(shown_key(shown.content.decode()))
    assert not opens(text)


@pytest.mark.parametrize("grace_s", [0, 3600, 86400])
def test_a_rotated_key_keeps_its_old_secret_for_as_long_as_was_chosen(
    browser: SiteClient, user: User, grace_s: int
) -> None:
    key, old = services.api_key_issue(user=user, name="x", allowed_models=["lab/a"])
    form = {"grace": str(grace_s), "rotated_before": key.rotation_mark}
    shown = browser.post(f"/keys/{key.pk}/rotate/", form)
    assert "no-store" in shown.headers["Cache-Control"]
    fresh = shown_key(shown.content.decode())
    assert fresh != old
    assert opens(fresh, after=timedelta(days=99))
    assert opens(old, after=timedelta(seconds=grace_s - 5)) == (grace_s > 0)
    assert not opens(old, after=timedelta(seconds=grace_s))
    key.refresh_from_db()
    assert (key.name, key.allowed_models) == ("x", ["lab/a"])
    assert ApiKey.objects.count() == 1
    page = browser.get(f"/keys/{key.pk}/").content.decode()
    assert ("before the last rotation" in page) == (grace_s > 0)


def test_a_rotation_sent_again_rotates_nothing(browser: SiteClient, user: User) -> None:
    key, _ = services.api_key_issue(user=user, name="x")
    form = {"grace": "0", "rotated_before": key.rotation_mark}
    fresh = shown_key(browser.post(f"/keys/{key.pk}/rotate/", form).content.decode())
    again = browser.post(f"/keys/{key.pk}/rotate/", form)
    assert again.status_code == 400
    assert "has a new secret already" in again.content.decode()
    assert opens(fresh)


def test_an_expired_key_is_shown_as_such_and_not_rotated(browser: SiteClient, user: User) -> None:
    key, _ = services.api_key_issue(user=user, name="x")
    ApiKey.objects.update(expires_at=timezone.now())
    assert "expired" in browser.get("/keys/").content.decode()
    assert "Rotate the secret" not in browser.get(f"/keys/{key.pk}/").content.decode()
    form = {"grace": "0", "rotated_before": key.rotation_mark}
    answer = browser.post(f"/keys/{key.pk}/rotate/", form)
    assert answer.status_code == 400
    assert "The key has expired" in answer.content.decode()


def test_a_key_that_expires_soon_is_marked(browser: SiteClient, user: User) -> None:
    services.api_key_issue(user=user, name="x", expires_at=timezone.now() + timedelta(days=8))
    assert "is-warning" not in browser.get("/keys/").content.decode()
    ApiKey.objects.update(expires_at=timezone.now() + timedelta(days=6))
    assert "is-warning" in browser.get("/keys/").content.decode()


def test_when_and_where_a_key_was_used_is_shown(browser: SiteClient, user: User) -> None:
    services.api_key_issue(user=user, name="x")
    used_at = datetime(2027, 3, 1, 12, 30, tzinfo=UTC)
    ApiKey.objects.update(last_used_at=used_at, last_used_address="2001:db8::1")
    body = browser.get("/keys/").content.decode()
    assert "2027-03-01 12:30" in body
    assert "2001:db8::1" in body


def test_a_revoked_key_is_gone_from_the_list(browser: SiteClient, user: User) -> None:
    key, text = services.api_key_issue(user=user, name="x")
    after = browser.post(f"/keys/{key.pk}/revoke/", follow=True)
    assert "Revoked “x”" in after.content.decode()
    assert key.prefix not in browser.get("/keys/").content.decode()
    assert not opens(text)
    assert "no such key" in browser.post(f"/keys/{key.pk}/revoke/", follow=True).content.decode()


def test_a_name_is_text_and_never_html(browser: SiteClient, user: User) -> None:
    key, _ = services.api_key_issue(user=user, name="<b>\"'x")
    for path in ("/keys/", f"/keys/{key.pk}/", "/usage/"):
        body = browser.get(path).content.decode()
        assert "<b>" not in body
        assert "&lt;b&gt;" in body


def test_another_users_key_is_not_there(browser: SiteClient) -> None:
    other = User.objects.create_user("other@example.org")
    key, text = services.api_key_issue(user=other, name="theirs")
    form = {"grace": "0", "rotated_before": key.rotation_mark}
    assert browser.get(f"/keys/{key.pk}/").status_code == 404
    assert browser.post(f"/keys/{key.pk}/rotate/", form).status_code == 404
    assert browser.get(f"/usage/?key={key.pk}").status_code == 404
    browser.post(f"/keys/{key.pk}/revoke/")
    assert "theirs" not in browser.get("/keys/").content.decode()
    assert opens(text)


def test_a_user_without_a_password_is_not_locked_out_of_his_keys(user: User) -> None:
    user.set_unusable_password()
    user.save()
    client = SiteClient("user")
    client.force_login(user)
    assert client.post("/keys/new/", LAPTOP).status_code == 200
    assert ApiKey.objects.count() == 1


@pytest.mark.parametrize(
    ("method", "path"),
    [
        *(("get", path) for path in ("/keys/", "/keys/new/", "/keys/1/", "/usage/")),
        ("get", "/usage/usage.csv"),
        *(("post", path) for path in ("/keys/new/", "/keys/1/rotate/", "/keys/1/revoke/")),
    ],
)
def test_keys_are_for_those_signed_in(method: str, path: str) -> None:
    response = getattr(SiteClient("user"), method)(path)
    assert response.status_code == 302
    assert response.headers["Location"].startswith("/accounts/login/")
