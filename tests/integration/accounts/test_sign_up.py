"""Signing up: the address is confirmed first, and nobody learns who has an account."""

import re

import pytest
from allauth.account.models import EmailAddress
from django.core import mail
from django.core.cache import cache

from apps.accounts.models import User
from tests.clients import SiteClient
from tests.integration.accounts.people import (
    ADDRESS,
    PASSWORD,
    make_person,
    newest_code,
    sign_in,
    sign_up,
)

pytestmark = pytest.mark.django_db
CONFIRM = "/accounts/confirm-email/"


def test_an_account_is_good_once_its_address_is_confirmed_and_next_is_kept() -> None:
    client = SiteClient("user")
    sign_up(client, "New@Example.org", "?next=/history/")
    assert not client.is_signed_in
    done = client.post(CONFIRM, {"code": newest_code().lower()})
    assert done["Location"] == "/history/"
    assert client.is_signed_in
    assert EmailAddress.objects.get(email="new@example.org").verified


def test_next_leads_to_our_own_pages_only() -> None:
    client = SiteClient("user")
    sign_up(client, ADDRESS, "?next=https://evil.example/")
    assert client.post(CONFIRM, {"code": newest_code()})["Location"] == "/"


def test_who_left_before_the_code_gets_another_at_the_sign_in() -> None:
    sign_up(SiteClient("user"))
    cache.clear()  # ten seconds later: so long one waits for the next code
    later = sign_in()
    assert not later.is_signed_in
    later.post(CONFIRM, {"code": newest_code()})
    assert later.is_signed_in


def test_another_code_is_sent_on_demand_and_the_old_one_is_no_longer_good() -> None:
    client = SiteClient("user")
    sign_up(client)
    first = newest_code()
    cache.clear()
    client.post(CONFIRM, {"action": "resend"})
    assert newest_code() != first
    client.post(CONFIRM, {"code": first})
    assert not client.is_signed_in
    client.post(CONFIRM, {"code": newest_code()})
    assert client.is_signed_in


def test_three_wrong_codes_are_the_end_of_it() -> None:
    client = SiteClient("user")
    sign_up(client)
    right = newest_code()
    for _ in range(3):
        client.post(CONFIRM, {"code": "WWWW-WWWW"})
    client.post(CONFIRM, {"code": right})
    assert not client.is_signed_in


def _walk(client: SiteClient, email: str) -> list[tuple[int, str, str]]:
    """Sign up and type three wrong codes; return all that one sees of it."""
    answers = [sign_up(client, email)]
    answers += [client.post(CONFIRM, {"code": "WWWW-WWWW"}, follow=True) for _ in range(3)]
    answers.append(client.get(CONFIRM, follow=True))
    return [
        (answer.status_code, str(answer.redirect_chain), _words(answer.content.decode(), email))
        for answer in answers
    ]


def _words(page: str, email: str) -> str:
    return re.sub(r'csrfmiddlewaretoken" value="[^"]+', "", page).replace(email, "ADDRESS")


def test_a_known_address_is_not_told_from_an_unknown_one() -> None:
    make_person("known@example.org")
    walks = [_walk(SiteClient("user"), name) for name in ("known@example.org", "fresh@example.org")]
    assert walks[0] == walks[1]
    assert User.objects.filter(email="known@example.org").count() == 1
    told = [one for one in mail.outbox if one.to == ["known@example.org"]]
    assert [one.subject for one in told] == ["You have an account already"]


def test_a_reset_tells_nothing_either() -> None:
    make_person("known@example.org")
    seen = []
    for email in ("known@example.org", "fresh@example.org"):
        client = SiteClient("user")
        answer = client.post("/accounts/password/reset/", {"email": email}, follow=True)
        seen.append((str(answer.redirect_chain), _words(answer.content.decode(), email)))
    assert seen[0] == seen[1]
    assert [one.to for one in mail.outbox] == [["known@example.org"], ["fresh@example.org"]]


@pytest.mark.parametrize("site", ["admin", "superadmin"])
def test_the_closed_sites_sign_nobody_up(site: str) -> None:
    client = SiteClient(site)
    assert "made on the users" in client.get("/accounts/signup/").content.decode()
    sign_up(client)
    assert not User.objects.exists()


def test_fields_tell_browsers_what_goes_in() -> None:
    client = SiteClient("user")
    page = client.get("/accounts/login/").content.decode()
    assert 'autocomplete="username"' in page
    assert 'autocomplete="current-password"' in page
    assert client.get("/accounts/signup/").content.decode().count('"new-password"') == 2
    assert 'autocomplete="one-time-code"' in sign_up(client).content.decode()


def test_too_many_attempts_get_a_page_that_says_so() -> None:
    client = SiteClient("user")
    for number in range(20):
        sign_up(client, f"reader{number}@example.org")
        client.cookies.clear()
    refused = sign_up(client, "one.more@example.org")
    assert refused.status_code == 429
    assert "Wait some minutes" in refused.content.decode()
    form = {"email": ADDRESS, "password1": PASSWORD, "password2": PASSWORD}
    forged = client.post("/accounts/signup/", form, headers={"x-forwarded-for": "203.0.113.9"})
    assert forged.status_code == 429
    other = client.post("/accounts/signup/", form, REMOTE_ADDR="203.0.113.9")
    assert other.status_code == 302
