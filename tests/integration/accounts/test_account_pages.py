"""What people change of their own account, and what is asked of them before."""

import re
from datetime import timedelta
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from allauth.usersessions.models import UserSession
from django.core import mail
from django.core.mail import EmailMultiAlternatives
from django.utils import timezone

from apps.accounts.models import User
from apps.accounts.sessions import sessions_forget_ended
from tests.clients import SiteClient
from tests.integration.accounts.people import (
    ADDRESS,
    PASSWORD,
    make_person,
    newest_code,
    set_up_app,
    sign_in,
    sign_up,
)

pytestmark = pytest.mark.django_db(transaction=True)
EMAIL = "/accounts/email/"
CHANGE = "/accounts/password/change/"
NEW_PASSWORD = "quite another battery"


@pytest.fixture
def person() -> User:
    return make_person()


def _long_ago(client: SiteClient) -> None:
    """Let the session's sign-in lie an hour back."""
    key = client.cookies[client.cookie].value
    session = UserSession(session_key=key)._session_store(key)
    records = session["account_authentication_methods"]
    session["account_authentication_methods"] = [
        {**record, "at": record["at"] - 3600} for record in records
    ]
    session.save()


def test_the_account_page_leads_everywhere(person: User) -> None:
    client = sign_in()
    page = client.get("/account/").content.decode()
    assert ADDRESS in page
    for path in re.findall(r'<li><a href="(/[^"]+)"', page):
        assert client.get(path, follow=True).status_code == 200, path
    assert '<a href="/account/">Account</a>' in client.get("/account/export/").content.decode()


def test_a_new_address_takes_over_once_its_code_is_confirmed(person: User) -> None:
    client = sign_in()
    client.post(EMAIL, {"action_add": "", "email": "New.Me@example.org"})
    assert mail.outbox[-1].to == ["new.me@example.org"]
    person.refresh_from_db()
    assert person.email == ADDRESS
    client.post("/accounts/confirm-email/", {"code": newest_code()})
    person.refresh_from_db()
    assert person.email == "new.me@example.org"
    addresses = EmailAddress.objects.filter(user=person)
    assert [(one.email, one.verified) for one in addresses] == [("new.me@example.org", True)]
    told = [one.subject for one in mail.outbox if one.to == [ADDRESS]]
    assert told[-1] == "The address of your account was changed"


def test_an_address_of_somebody_else_is_not_told_from_a_free_one(person: User) -> None:
    make_person("known@example.org")
    client = sign_in()
    pages = []
    for email in ("known@example.org", "fresh@example.org"):
        page = client.post(EMAIL, {"action_add": "", "email": email}, follow=True)
        pages.append((page.status_code, str(page.redirect_chain)))
    assert pages[0] == pages[1]
    assert User.objects.get(pk=person.pk).email == ADDRESS


@pytest.mark.parametrize(
    ("path", "form"),
    [
        (EMAIL, {"action_add": "", "email": "new@example.org"}),
        ("/accounts/2fa/totp/activate/", {"code": "000000"}),
        ("/accounts/2fa/webauthn/add/", {"name": "x", "credential": "{}"}),
    ],
)
def test_the_password_is_asked_for_again_after_a_while(
    person: User, path: str, form: dict[str, str]
) -> None:
    client = sign_in()
    assert client.post(path, form).headers.get("Location", "").find("reauthenticate") < 0
    _long_ago(client)
    assert "/accounts/reauthenticate/" in client.post(path, form)["Location"]
    client.post("/accounts/reauthenticate/", {"password": "wrong"})
    assert "/accounts/reauthenticate/" in client.post(path, form)["Location"]
    client.post("/accounts/reauthenticate/", {"password": PASSWORD})
    assert client.post(path, form).headers.get("Location", "").find("reauthenticate") < 0


def test_a_new_password_ends_the_other_sessions(person: User) -> None:
    other, client = sign_in(), sign_in()
    form = {"oldpassword": PASSWORD, "password1": NEW_PASSWORD, "password2": NEW_PASSWORD}
    client.post(CHANGE, {**form, "oldpassword": "wrong"})
    assert other.get("/account/").status_code == 200
    client.post(CHANGE, form)
    assert client.get("/account/").status_code == 200
    assert other.get("/account/").status_code == 302
    assert mail.outbox[-1].subject == "Your password was changed"


def test_a_reset_ends_all_sessions_and_still_asks_for_the_second_factor(person: User) -> None:
    client = sign_in()
    set_up_app(client)
    stranger = SiteClient("user")
    stranger.post("/accounts/password/reset/", {"email": ADDRESS})
    link = re.search(r"http://[^/]+(/\S+)", str(mail.outbox[-1].body))
    assert link
    form_path = stranger.get(link[1], follow=True).redirect_chain[-1][0]
    stranger.post(form_path, {"password1": NEW_PASSWORD, "password2": NEW_PASSWORD})
    assert client.get("/account/").status_code == 302
    sign = {"login": ADDRESS, "password": NEW_PASSWORD}
    asked = stranger.post("/accounts/login/", sign)
    assert asked["Location"] == "/accounts/2fa/authenticate/"
    assert not stranger.is_signed_in


def test_sessions_are_listed_with_browser_and_site_and_end_one_by_one_or_all(person: User) -> None:
    firefox = "Mozilla/5.0 (X11; Linux x86_64) Firefox/128.0"
    others = [sign_in(), sign_in("admin", **{"user-agent": firefox}), sign_in()]
    client = sign_in()
    page = client.get("/accounts/sessions/").content.decode()
    assert page.count('class="card') == 4
    assert "Firefox on Linux" in page
    assert "the operators' site" in page.replace("&#x27;", "'")
    ends = re.findall(r'action="(/accounts/sessions/\d+/end/)"', page)
    assert len(ends) == 3
    client.post(ends[0])
    assert [other.is_signed_in for other in others].count(True) == 2
    client.post("/accounts/sessions/")
    assert not any(other.is_signed_in for other in others)
    assert client.is_signed_in


def test_from_where_one_was_signed_in_is_forgotten_with_the_session(person: User) -> None:
    sign_in().post("/accounts/logout/")
    sign_in()
    assert UserSession.objects.count() == 1
    assert sessions_forget_ended(now=timezone.now()) == 0
    assert sessions_forget_ended(now=timezone.now() + timedelta(days=15)) == 1
    assert not UserSession.objects.exists()


def test_nobody_ends_a_session_of_another(person: User) -> None:
    make_person("other@example.org")
    other = sign_in(email="other@example.org")
    foreign = UserSession.objects.get(user__email="other@example.org")
    assert sign_in().post(f"/accounts/sessions/{foreign.pk}/end/").status_code == 404
    assert SiteClient("user").post(f"/accounts/sessions/{foreign.pk}/end/").status_code == 302
    assert other.is_signed_in


def test_the_owner_is_told_of_a_sign_in_by_a_new_browser_and_not_of_the_next(person: User) -> None:
    client = sign_in()
    told = "A new browser signed in to your account"
    assert [one.subject for one in mail.outbox] == [told]
    client.post("/accounts/logout/")
    client.post("/accounts/login/", {"login": ADDRESS, "password": PASSWORD})
    assert client.is_signed_in
    assert [one.subject for one in mail.outbox] == [told]
    sign_in()
    assert [one.subject for one in mail.outbox] == [told, told]


def test_a_fresh_account_is_not_told_of_its_own_first_sign_in() -> None:
    assert _signed_up().is_signed_in
    assert len(mail.outbox) == 1


def test_who_has_just_signed_up_is_not_asked_for_the_password_again() -> None:
    client = _signed_up()
    assert set_up_app(client)
    _long_ago(client)
    form = {"action_add": "", "email": "new@example.org"}
    assert "/accounts/reauthenticate/" in client.post(EMAIL, form)["Location"]


def _signed_up() -> SiteClient:
    client = SiteClient("user")
    sign_up(client)
    client.post("/accounts/confirm-email/", {"code": newest_code()})
    return client


def _all_mails(person: User) -> None:
    """Have every kind of mail sent that one can bring about without a key or another site."""
    sign_up(SiteClient("user"), ADDRESS)
    sign_up(SiteClient("user"), "fresh@example.org")
    for email in (ADDRESS, "nobody@example.org"):
        SiteClient("user").post("/accounts/password/reset/", {"email": email})
    client = sign_in()
    set_up_app(client)
    client.post("/accounts/2fa/recovery-codes/generate/")
    client.post("/accounts/2fa/totp/deactivate/")
    form = {"oldpassword": PASSWORD, "password1": NEW_PASSWORD, "password2": NEW_PASSWORD}
    client.post(CHANGE, form)
    client.post(EMAIL, {"action_add": "", "email": "new@example.org"})
    client.post("/accounts/confirm-email/", {"code": newest_code()})


def _plain(html: str) -> str:
    """Return what a reader sees of HTML."""
    body = re.sub(r"<(style|head).*?</\1>", "", html, flags=re.DOTALL)
    text = re.sub(r"<[^>]+>", " ", body)
    return " ".join(text.replace("&#x27;", "'").replace("&amp;", "&").split())


def test_every_mail_says_the_same_as_text_and_as_html(person: User) -> None:
    _all_mails(person)
    subjects = {one.subject for one in mail.outbox}
    assert len(subjects) >= 9, subjects
    for one in mail.outbox:
        assert isinstance(one, EmailMultiAlternatives)
        (html, kind) = one.alternatives[0]
        assert kind == "text/html"
        shown = _plain(str(html))
        for paragraph in re.split(r"\n\s*\n", str(one.body).strip()):
            assert " ".join(paragraph.split()) in shown, one.subject
        assert not re.search(r"<img|src=|url\(|<link|<script", str(html)), one.subject
        assert "http://motherfluxer.localhost" in str(one.body)


def test_every_page_that_sends_mail_says_where_it_goes(settings: Any, person: User) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
    folder = str(settings.EMAIL_FILE_PATH)
    client = sign_in()
    for path in ("email/", "password/change/", "2fa/totp/activate/", "2fa/webauthn/add/"):
        assert folder in client.get(f"/accounts/{path}").content.decode(), path
    visitor = SiteClient("user")
    for path in ("signup/", "password/reset/", "password/reset/done/"):
        assert folder in visitor.get(f"/accounts/{path}").content.decode(), path
    assert folder in sign_up(visitor, "fresh@example.org").content.decode()


def test_no_other_site_is_offered_where_none_is_configured(person: User) -> None:
    page = SiteClient("user").get("/accounts/login/").content.decode()
    assert "Sign in by" not in page
    assert "Other ways to sign in" not in sign_in().get("/account/").content.decode()
