"""Users on the superadmin's site."""

import pytest
from django.core import mail

from apps.accounts.keys import services
from apps.accounts.models import ApiKey, User
from tests.clients import SiteClient
from tests.integration.accounts.people import make_person, newest_code, sign_in

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse battery"


@pytest.fixture
def browser() -> SiteClient:
    boss = User.objects.create_superuser("boss@example.org", PASSWORD)
    client = SiteClient("superadmin")
    client.force_login(boss)
    return client


def test_a_user_is_added_by_address_whatever_its_case(browser: SiteClient) -> None:
    form = {"email": "New@Example.org", "usable_password": "true"}
    form |= {"password1": PASSWORD, "password2": PASSWORD}
    assert browser.post("/accounts/user/add/", form).status_code == 302
    assert User.objects.filter(email="new@example.org").exists()
    again = browser.post("/accounts/user/add/", {**form, "email": "NEW@example.org"})
    assert "already exists" in again.content.decode()


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/accounts/user/",
        "/accounts/user/add/",
        "/accounts/user/{user}/change/",
        "/accounts/apikey/",
        "/accounts/apikey/?revoked_at__isempty=1&may_manage__exact=0",
        "/accounts/apikey/{key}/change/",
        "/auth/group/",
        "/account/emailaddress/",
    ],
)
def test_every_page_opens(browser: SiteClient, path: str) -> None:
    user = User.objects.get()
    key, text = services.api_key_issue(user=user, name="x")
    response = browser.get(path.format(user=user.pk, key=key.pk))
    assert response.status_code == 200
    assert key.digest not in response.content.decode()
    assert text not in response.content.decode()


def test_an_address_that_the_superadmin_changed_opens_nothing_under_the_old_one(
    browser: SiteClient,
) -> None:
    user = make_person("old@example.org")
    path = f"/accounts/user/{user.pk}/change/"
    form = {"email": "New@example.org", "is_active": "on", "groups": []}
    assert browser.post(path, form).status_code == 302
    user.refresh_from_db()
    assert user.email == "new@example.org"
    SiteClient("user").post("/accounts/password/reset/", {"email": "old@example.org"})
    assert "There is no account" in mail.outbox[-1].subject
    client = sign_in("user", "new@example.org")
    assert not client.is_signed_in
    client.post("/accounts/confirm-email/", {"code": newest_code()})
    assert client.is_signed_in


def test_the_list_tells_who_has_a_second_factor(browser: SiteClient) -> None:
    make_person("plain@example.org")
    page = browser.get("/accounts/user/").content.decode()
    assert page.count('alt="True"') == 3  # the boss's, and both accounts are active
    assert page.count('alt="False"') == 1


def test_the_superadmin_revokes_a_key(browser: SiteClient) -> None:
    key, _ = services.api_key_issue(user=User.objects.get(), name="x")
    browser.post("/accounts/apikey/", {"action": "revoke", "_selected_action": [key.pk]})
    assert ApiKey.objects.get().revoked_at is not None
