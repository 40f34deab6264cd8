"""Sign-up, sign-in and reset by allauth without user names; roles; the first run."""

import re
import stat
from io import StringIO
from pathlib import Path

import pytest
from allauth.account.models import EmailAddress
from django.contrib.auth import authenticate
from django.contrib.auth.models import Group
from django.core import mail
from django.core.management import call_command
from django.db import IntegrityError
from pytest_django import Settings

from apps.accounts import roles
from apps.accounts.models import User
from tests.clients import SiteClient
from tests.mail import code_in

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse battery"


@pytest.fixture
def browser() -> SiteClient:
    return SiteClient("user")


def test_sign_up_sign_out_and_sign_in_by_address_in_any_case(browser: SiteClient) -> None:
    form = {"email": "New@Example.org", "password1": PASSWORD, "password2": PASSWORD}
    response = browser.post("/accounts/signup/", form)
    assert response.status_code == 302, response.content.decode()
    assert User.objects.get().email == "new@example.org"
    assert not browser.is_signed_in
    code = code_in(str(mail.outbox[0].body))
    browser.post("/accounts/confirm-email/", {"code": code})
    assert browser.is_signed_in
    browser.post("/accounts/logout/")
    assert not browser.is_signed_in
    browser.post("/accounts/login/", {"login": "NEW@example.org", "password": PASSWORD})
    assert browser.is_signed_in


def test_one_address_signs_up_once(browser: SiteClient) -> None:
    User.objects.create_user("known@example.org", PASSWORD)
    form = {"email": "KNOWN@example.org", "password1": PASSWORD, "password2": PASSWORD}
    browser.post("/accounts/signup/", form)
    assert not browser.is_signed_in
    assert User.objects.exclude(email__endswith="@stand-in.invalid").count() == 1


def test_a_wrong_password_is_refused(browser: SiteClient) -> None:
    User.objects.create_user("known@example.org", PASSWORD)
    response = browser.post("/accounts/login/", {"login": "known@example.org", "password": "x"})
    assert response.status_code == 200
    assert not browser.is_signed_in


def test_a_forgotten_password_is_reset_by_mail(browser: SiteClient) -> None:
    User.objects.create_user("known@example.org", PASSWORD)
    browser.post("/accounts/password/reset/", {"email": "known@example.org"})
    link = re.search(r"http://user\.motherfluxer\.localhost(/\S+)", str(mail.outbox[0].body))
    assert link is not None
    page = browser.get(link[1], follow=True)
    path = page.redirect_chain[-1][0]
    done = browser.post(path, {"password1": "another long one", "password2": "another long one"})
    assert done.status_code == 302
    assert authenticate(username="known@example.org", password="another long one") is not None


def test_addresses_are_unique_whatever_their_case() -> None:
    User.objects.create(email="a@example.org")
    with pytest.raises(IntegrityError):
        User.objects.create(email="A@example.org")


def test_the_operators_group_exists_from_the_start() -> None:
    assert Group.objects.filter(name="operators").exists()


def test_roles_are_given_and_taken() -> None:
    user = User.objects.create_user("a@example.org")
    assert not user.is_operator
    roles.role_grant_operator(user=user)
    assert user.is_operator
    assert user.is_staff
    assert not user.is_superadmin
    assert list(User.objects.operators()) == [user]
    roles.role_revoke_operator(user=user)
    assert not user.is_operator
    assert not User.objects.operators().exists()


def _first_run() -> str:
    out = StringIO()
    call_command("first_run", stdout=out)
    return out.getvalue()


def test_the_first_run_makes_two_accounts_and_a_later_one_changes_nothing(
    settings: Settings, tmp_path: Path
) -> None:
    settings.VAR_DIR = tmp_path / "var"
    first = _first_run()
    note = tmp_path / "var" / "first-run.txt"
    kept = note.read_text()
    assert stat.S_IMODE(note.stat().st_mode) == 0o600
    for role in ("superadmin", "operator"):
        found = re.search(rf"({role}@\S+)\s+(\S+)$", kept, re.MULTILINE)
        assert found is not None
        assert found[2] in first
        user = authenticate(username=found[1], password=found[2])
        assert isinstance(user, User)
        assert user.is_operator
        assert user.is_superadmin == (role == "superadmin")
        assert EmailAddress.objects.get(user=user).verified
    EmailAddress.objects.all().delete()  # as a site has it that was made before addresses were
    again = _first_run()
    assert EmailAddress.objects.filter(verified=True, primary=True).count() == 2
    assert str(note) in again
    assert not any(line.split()[-1] in again for line in kept.splitlines())
    assert note.read_text() == kept
    assert User.objects.count() == 2
    note.unlink()
    assert "changepassword" in _first_run()
    assert not note.exists()
