"""Who enters the operators' and the superadmin's site, and what is no way around."""

import re
from collections.abc import Iterator
from html import unescape
from io import StringIO
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from django.core.management import CommandError, call_command
from django.urls import get_resolver
from django.utils.http import url_has_allowed_host_and_scheme
from pytest_django import Settings

from apps.accounts import factors, roles
from apps.accounts.keys.services import api_key_issue
from apps.accounts.models import User
from motherfluxer import entrance
from tests.clients import SiteClient
from tests.integration.accounts.people import ACTIVATE, PASSWORD, make_person, set_up_app, sign_in
from tests.signing_in import totp_code

pytestmark = pytest.mark.django_db(transaction=True)
BOSS = "boss@example.org"
INDEX = "/accounts/2fa/"
SITES = ["admin", "superadmin"]


@pytest.fixture
def boss() -> User:
    """A superadmin, who may enter both sites."""
    return make_person(BOSS, is_superuser=True)


def is_inside(client: SiteClient) -> bool:
    return client.get("/").status_code == 200


@pytest.mark.parametrize("site", SITES)
def test_the_first_sign_in_leads_to_a_second_factor_and_then_inside(site: str, boss: User) -> None:
    client = sign_in(site, BOSS)
    turned = client.get("/")
    assert turned["Location"] == INDEX
    assert "lets nobody in by a password alone" in client.get(INDEX).content.decode()
    codes = set_up_app(client)
    assert len(codes) == 10
    assert is_inside(client)

    again = sign_in(site, BOSS)
    assert not again.is_signed_in
    again.post("/accounts/2fa/authenticate/", {"code": "00000000"})
    assert not again.is_signed_in
    again.post("/accounts/2fa/authenticate/", {"code": codes[0]})
    assert is_inside(again)


def go_on_url(page: str, words: str) -> str:
    found = re.search(rf'href="([^"]*)">{words}</a>', page)
    assert found, page
    return unescape(found[1])


def test_who_sets_a_factor_up_goes_on_to_the_page_that_was_wanted(boss: User) -> None:
    client = sign_in("superadmin", BOSS)
    wanted = "/accounts/user/?q=a&o=1"
    assert client.get(wanted)["Location"] == INDEX
    # Neither what a page's script fetches, nor a form, nor a program is where somebody is going.
    client.get("/router/live", headers={"sec-fetch-mode": "cors"})
    client.post("/router/")
    client.get("/api/credentials/")
    set_up_app(client)
    codes = client.get("/accounts/2fa/recovery-codes/").content.decode()
    assert go_on_url(codes, "I have kept them, go on") == wanted
    assert go_on_url(client.get(INDEX).content.decode(), "Go on to it") == wanted
    assert client.get(wanted).status_code == 200
    assert go_on_url(client.get(INDEX).content.decode(), "Go on to it") == "/"


@pytest.mark.parametrize(
    "path", ["//evil.example/", "///evil.example/", "/\\evil.example/", "/https://evil.example/"]
)
def test_nobody_is_led_to_another_site_by_setting_a_factor_up(path: str, boss: User) -> None:
    client = sign_in("superadmin", BOSS)
    client.get(INDEX, {"next": "https://evil.example/", "entrance_goal": "https://evil.example/"})
    assert client.request(PATH_INFO=path)["Location"] == INDEX
    set_up_app(client)
    target = go_on_url(client.get(INDEX).content.decode(), "Go on to it")
    assert target != "/"
    assert url_has_allowed_host_and_scheme(target, allowed_hosts=None)


@pytest.mark.parametrize("site", SITES)
def test_a_stranger_is_led_to_the_sign_in_and_back(site: str) -> None:
    turned = SiteClient(site).get("/instances/credential/?page=2")
    assert turned["Location"].startswith("/accounts/login/?next=/instances/credential/")


@pytest.mark.parametrize("site", SITES)
def test_somebody_without_the_role_is_told_whose_site_it_is(site: str) -> None:
    user = User.objects.create_user("op@example.org")
    if site == "superadmin":
        roles.role_grant_operator(user=user)
    client = SiteClient(site)
    client.force_login(user, has_factor=True)
    page = client.get("/")
    assert page.status_code == 403
    assert "op@example.org is not one of them" in page.content.decode()


@pytest.mark.parametrize("site", SITES)
def test_djangos_own_login_form_is_gone(site: str, boss: User) -> None:
    client = SiteClient(site)
    form = {"username": boss.email, "password": PASSWORD, "next": "/"}
    answer = client.post("/login/?next=/x/", form)
    assert answer["Location"] == "/accounts/login/?next=/x/"
    assert not client.is_signed_in


def test_a_session_from_before_the_role_was_given_needs_a_factor_too() -> None:
    user = make_person("op@example.org")
    client = sign_in("admin", user.email)
    assert client.get("/").status_code == 403
    roles.role_grant_operator(user=user)
    assert client.get("/")["Location"] == INDEX


def test_a_session_that_came_in_by_password_proves_the_factor_first(boss: User) -> None:
    set_up_app(sign_in("superadmin", BOSS))
    codes = Authenticator.objects.get(user=boss, type="recovery_codes").wrap().get_unused_codes()
    old = SiteClient("superadmin")
    old.force_login(boss, has_factor=False)
    asked = old.get("/router/")
    assert asked["Location"] == "/accounts/2fa/reauthenticate/?next=/router/"
    assert not is_inside(old)
    old.post(asked["Location"], {"code": codes[0], "next": "/router/"})
    assert is_inside(old)


def test_a_password_alone_does_not_get_in_by_a_further_factor_or_new_codes(boss: User) -> None:
    first = sign_in("superadmin", BOSS)
    set_up_app(first)
    old = SiteClient("superadmin")
    old.force_login(boss, has_factor=False)
    old.post("/accounts/reauthenticate/", {"password": PASSWORD})
    old.post("/accounts/2fa/recovery-codes/generate/")
    assert not is_inside(old)
    assert is_inside(first)


def test_a_removed_factor_closes_the_sites_to_sessions_that_came_in_by_it(boss: User) -> None:
    client = sign_in("superadmin", BOSS)
    set_up_app(client)
    factors.factors_remove(user=boss)
    assert client.get("/")["Location"] == INDEX
    set_up_app(client)
    assert is_inside(client)


def test_the_first_factor_ends_the_other_sessions(boss: User) -> None:
    other = sign_in("user", BOSS)
    own = sign_in("superadmin", BOSS)
    assert other.is_signed_in
    set_up_app(own)
    assert not other.is_signed_in
    assert is_inside(own)


def test_new_recovery_codes_do_not_shut_out_who_came_in_by_an_old_one(boss: User) -> None:
    codes = set_up_app(sign_in("superadmin", BOSS))
    client = sign_in("superadmin", BOSS)
    client.post("/accounts/2fa/authenticate/", {"code": codes[0]})
    assert is_inside(client)
    client.post("/accounts/2fa/recovery-codes/generate/")
    assert is_inside(client)


def test_secrets_of_factors_are_encrypted_at_rest(boss: User) -> None:
    client = sign_in("superadmin", BOSS)
    page = client.get(ACTIVATE).content.decode()
    secret = re.search(r'id="totp-secret">([A-Z2-7]+)<', page)
    assert secret
    client.post(ACTIVATE, {"code": totp_code(secret[1])})
    kept = Authenticator.objects.get(user=boss, type="totp").data["secret"]
    assert kept != secret[1]
    assert (
        Authenticator.objects.get(user=boss, type="totp").wrap().validate_code(totp_code(secret[1]))
    )


def test_the_superadmin_removes_a_lost_factor(boss: User) -> None:
    lost = User.objects.create_user("op@example.org")
    SiteClient("admin").force_login(lost)
    assert lost.has_second_factor
    client = SiteClient("superadmin")
    client.force_login(boss)
    form = {"action": "remove_second_factors", "_selected_action": [lost.pk]}
    client.post("/accounts/user/", form)
    assert not lost.has_second_factor
    assert boss.has_second_factor


def test_a_command_removes_a_lost_factor(boss: User) -> None:
    SiteClient("superadmin").force_login(boss)
    call_command("remove_second_factor", "BOSS@example.org", stdout=StringIO())
    assert not boss.has_second_factor
    with pytest.raises(CommandError):
        call_command("remove_second_factor", "nobody@example.org")


def test_the_api_takes_a_session_with_a_factor_only_and_keys_as_ever(boss: User) -> None:
    weak = SiteClient("admin")
    weak.force_login(boss, has_factor=False)
    assert weak.get("/api/credentials/").status_code == 401
    _, key = api_key_issue(user=boss, name="k", may_manage=True)
    by_key = {"authorization": f"Bearer {key}"}
    assert weak.get("/api/credentials/", headers=by_key).status_code == 200
    strong = SiteClient("admin")
    strong.force_login(boss)
    assert strong.get("/api/credentials/").status_code == 200


@pytest.mark.parametrize("path", ["/api/", "/api/credentials/", "/api/../"])
def test_a_key_opens_no_page(boss: User, path: str) -> None:
    _, key = api_key_issue(user=boss, name="k", may_manage=True)
    answer = SiteClient("superadmin").get(path, headers={"authorization": f"Bearer {key}"})
    assert answer.status_code == 302


def _views(patterns: Any, before: str = "") -> Iterator[tuple[str, str]]:
    """Yield the address pattern and the module of every view."""
    for pattern in patterns:
        route = before + str(pattern.pattern)
        if hasattr(pattern, "url_patterns"):
            yield from _views(pattern.url_patterns, route)
        else:
            yield route, pattern.callback.__module__


@pytest.mark.parametrize("site", SITES)
def test_nothing_is_open_but_signing_in_and_health(site: str, settings: Settings) -> None:
    patterns = get_resolver(settings.SITE_URLCONFS[site]).url_patterns
    found = {route for route, module in _views(patterns) if module.startswith(entrance._OPEN)}
    others = {route for route in found if not route.startswith("accounts/")}
    assert others == {"healthz", "readyz", "login/", "logout/", "password_change/"}
    ours = {route for route, _ in _views(patterns)} - found
    assert any(route.startswith("instances/") for route in ours)
    assert not any(re.match(r"accounts/(user|apikey)/", route) for route in found)


@pytest.mark.parametrize("site", SITES)
def test_the_pages_of_djangos_admin_lead_to_ours(site: str, boss: User) -> None:
    client = SiteClient(site)
    client.force_login(boss)
    assert f'<a href="{INDEX}">Second factor</a>' in client.get("/").content.decode()
    assert client.get("/password_change/")["Location"] == "/accounts/password/change/"
    client.post("/logout/")
    assert not client.is_signed_in


@pytest.mark.parametrize("site", SITES)
def test_health_is_open(site: str) -> None:
    assert SiteClient(site).get("/healthz").status_code == 200
