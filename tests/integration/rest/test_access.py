"""Who may ask `/api/`, by which way, on which site; and that every error is a problem."""

from datetime import timedelta
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from django.test import override_settings
from django.utils import timezone

from apps.accounts.keys.models import ApiKey
from apps.accounts.models import User
from tests.clients import SiteClient
from tests.integration.rest.conftest import Asker, key_of, make_user

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_key_that_may_manage_opens_the_door_on_each_site(reader: User) -> None:
    for site in ("", "user", "admin"):
        reply = Asker(key_of(reader), site)("GET", "account/")
        assert (reply.status, reply.json()["email"]) == (200, "reader@example.org")
        assert "no-store" in reply.headers["Cache-Control"]


def test_a_key_for_inference_alone_opens_nothing(reader: User) -> None:
    ask = Asker(key_of(reader, may_manage=False))
    assert ask("GET", "account/").problem["code"] == "key_may_not_manage"
    assert ask("DELETE", f"conversations/{'0' * 8}-0000-4000-8000-{'0' * 12}/").status == 403


@pytest.mark.parametrize("key", ["mf_nobody", "é", "mf_\t", "x" * 5000])
def test_a_wrong_key_is_refused(db: None, key: str) -> None:
    reply = Asker(key.encode().decode("latin-1"))("GET", "account/")
    assert (reply.status, reply.problem["code"]) == (401, "invalid_api_key")
    assert reply.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize("change", ["revoked", "expired", "inactive"])
def test_a_key_that_has_ended_is_refused(reader: User, change: str) -> None:
    key = key_of(reader)
    past = timezone.now() - timedelta(seconds=1)
    if change == "inactive":
        User.objects.update(is_active=False)
    else:
        ApiKey.objects.update(**{f"{change}_at".replace("expired", "expires"): past})
    assert Asker(key)("GET", "account/").problem["code"] == "invalid_api_key"


def test_nobody_gets_nothing(db: None) -> None:
    reply = Asker()("GET", "account/")
    assert (reply.status, reply.problem["code"]) == (401, "authentication_required")
    basic = Asker()("GET", "account/", authorization="Basic eDp5")
    assert basic.problem["code"] == "authentication_required"


def test_a_session_counts_and_needs_the_token_to_write(reader: User) -> None:
    browser = SiteClient("user", enforce_csrf_checks=True)
    browser.force_login(reader)
    ask = Asker(client=browser)
    assert ask("GET", "account/").json()["email"] == "reader@example.org"
    assert ask("POST", "credentials/", {}).problem["code"] == "csrf_failed"


def test_a_session_of_one_site_is_none_on_another(reader: User) -> None:
    browser = SiteClient("user")
    browser.force_login(reader)
    cookies = browser.cookies
    public = SiteClient("")
    public.cookies = cookies
    assert Asker(client=public)("GET", "account/").status == 401


def test_what_is_for_operators_is_refused_to_others(ask: Asker, ask_operator: Asker) -> None:
    for path in ("credentials/", "instances/"):
        assert ask("GET", path).problem["code"] == "permission_denied"
        assert ask_operator("GET", path).status == 200


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "BREW"])
@pytest.mark.parametrize("path", ["nothing/", "conversations", "conversations/x/", "%00/", "a/b/c"])
def test_an_address_with_nothing_there_is_a_problem(ask: Asker, method: str, path: str) -> None:
    assert ask(method, path).problem["code"] == "not_found"


@pytest.mark.parametrize(
    ("method", "path", "headers", "code"),
    [
        ("PUT", "account/", {}, "method_not_allowed"),
        ("TRACE", "conversations/", {}, "method_not_allowed"),
        ("GET", "account/", {"accept": "application/xml"}, "not_acceptable"),
        ("POST", "credentials/", {"content_type": "text/plain"}, "unsupported_media_type"),
        ("POST", "credentials/", {"content_type": "multipart/form-data"}, "unsupported_media_type"),
        ("GET", "conversations/?page=9", {}, "not_found"),
        ("GET", "conversations/?page_size=0", {}, "invalid_request"),
        ("GET", "conversations/?page_size=201", {}, "invalid_request"),
        ("GET", "conversations/?created_after=soon", {}, "invalid_request"),
        ("GET", "conversations/?ordering=title", {}, "invalid_request"),
        ("GET", "keys/?ordering=-digest", {}, "invalid_request"),
    ],
)
def test_what_is_wrong_is_told_by_its_code(
    ask_operator: Asker, method: str, path: str, headers: dict[str, str], code: str
) -> None:
    body = b"{}" if method == "POST" else b""
    reply = ask_operator(method, path, raw=body, **headers)
    assert reply.problem["code"] == code
    assert "Allow" in reply.headers or code != "method_not_allowed"


def test_a_fault_of_ours_is_a_problem_that_names_no_cause(
    ask: Asker, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: Any) -> None:
        raise RuntimeError("the secret cause")

    monkeypatch.setattr("apps.chat.rest.ConversationViewSet.get_queryset", fail)
    reply = ask("GET", "conversations/")
    assert reply.problem["code"] == "internal_error"
    assert "secret" not in str(reply.json())
    assert reply.json()["instance"].removeprefix("urn:uuid:") in reply.json()["detail"]
    assert "the secret cause" in caplog.text


def test_too_many_requests_wait(reader: User, settings: Any) -> None:
    rates = {"rest_person": "2/minute", "rest_address": "1/minute"}
    with override_settings(
        REST_FRAMEWORK={**settings.REST_FRAMEWORK, "DEFAULT_THROTTLE_RATES": rates}
    ):
        mine, other = Asker(key_of(reader)), Asker(key_of(make_user("other@example.org")))
        assert [mine("GET", "account/").status for _ in range(3)] == [200, 200, 429]
        refused = Asker(key_of(reader))("GET", "account/")
        assert refused.problem["code"] == "rate_limit_exceeded"
        assert 1 <= int(refused.headers["Retry-After"]) <= 61
        assert other("GET", "account/").status == 200


def test_an_operators_session_needs_a_second_factor(operator: User) -> None:
    browser = SiteClient("user")
    browser.force_login(operator)
    ask = Asker(client=browser)
    for path in ("credentials/", "instances/"):
        assert ask("GET", path).problem["code"] == "second_factor_required"
    assert ask("GET", "account/").status == 200
    Authenticator.objects.create(user=operator, type=Authenticator.Type.TOTP, data={})
    assert ask("GET", "credentials/").status == 200


def test_an_account_that_is_to_be_deleted_can_do_nothing(reader: User) -> None:
    key = key_of(reader)
    browser = SiteClient("user")
    browser.force_login(reader)
    User.objects.update(deletion_at=timezone.now() + timedelta(days=14))
    assert Asker(client=browser)("GET", "account/").problem["code"] == "permission_denied"
    assert Asker(key)("GET", "account/").problem["code"] == "invalid_api_key"


def test_a_closed_site_answers_a_program_with_a_problem(operator: User) -> None:
    assert Asker(site="admin")("GET", "account/").problem["code"] == "authentication_required"
    browser = SiteClient("admin")
    browser.force_login(operator, has_factor=False)
    assert Asker(client=browser)("GET", "credentials/").status == 401
