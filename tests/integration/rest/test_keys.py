"""API keys under `/api/`: one's own, with secrets shown once, made only by who may."""

import time
from datetime import date
from typing import Any

import pytest
from django.conf import settings
from django.contrib.sessions.backends.db import SessionStore
from django.core import mail

from apps.accounts.keys.models import ApiKey
from apps.accounts.models import User
from apps.accounts.usage.models import KeyUsage
from motherfluxer.hosts import cookie_name
from motherfluxer_wire.tokens import API_KEY_PREFIX, parse_token
from tests.clients import SiteClient
from tests.integration.rest.conftest import Asker, key_of, make_user

pytestmark = pytest.mark.django_db(transaction=True)


def issued(ask: Asker, **asked: Any) -> dict[str, Any]:
    reply = ask("POST", "keys/", {"name": "laptop", **asked})
    assert reply.status == 201, reply.response.content
    found: dict[str, Any] = reply.json()
    return found


def test_a_key_is_issued_and_its_text_shown_once(ask: Asker) -> None:
    made = issued(ask, allowed_models=["phi-2"], requests_per_minute=5)
    assert (made["allowed_models"], made["requests_per_minute"]) == (["phi-2"], 5)
    assert (made["state"], made["may_manage"]) == ("valid", False)
    token = parse_token(API_KEY_PREFIX, made["key"])
    assert token is not None
    assert token.matches(ApiKey.objects.get(token_id=made["id"]).digest)
    shown = ask("GET", f"keys/{made['id']}/").json()
    assert shown == {name: value for name, value in made.items() if name != "key"}
    assert made["key"] not in str(ask("GET", "keys/").json())
    assert Asker(made["key"])("GET", "account/").problem["code"] == "key_may_not_manage"


def test_the_owner_is_told_of_each_new_secret(ask: Asker, reader: User) -> None:
    made = issued(ask)
    ask("POST", f"keys/{made['id']}/rotate/", {})
    assert [sent.to for sent in mail.outbox] == [[reader.email]] * 2
    assert [sent.subject for sent in mail.outbox] == [
        "Your account has a new API key",
        "An API key of yours has a new secret",
    ]
    assert all(made["prefix"] in sent.body for sent in mail.outbox)
    assert not any(made["key"] in sent.body for sent in mail.outbox)


def test_a_key_makes_none_that_may_manage(ask: Asker) -> None:
    reply = ask("POST", "keys/", {"name": "more", "may_manage": True})
    assert reply.problem["code"] == "permission_denied"


def session(user: User, signed_in_ago_s: float) -> Asker:
    browser = SiteClient("user")
    browser.force_login(user)
    cookie = browser.cookies[cookie_name(settings.SESSION_COOKIE_NAME, "user", is_secure=False)]
    kept = SessionStore(cookie.value)
    at = time.time() - signed_in_ago_s
    records = [{"method": "password", "at": at, "reauthenticated": True}]
    kept["account_authentication_methods"] = records
    kept["account_authentication_methods_user"] = str(user.pk)
    kept.save()
    return Asker(client=browser)


def test_a_fresh_session_makes_keys_that_may_manage(reader: User) -> None:
    made = issued(session(reader, 5), may_manage=True)
    assert Asker(made["key"])("GET", "account/").status == 200


def test_an_old_session_makes_no_secret(reader: User) -> None:
    ask = session(reader, 3600)
    assert ask("POST", "keys/", {"name": "x"}).problem["code"] == "reauthentication_required"
    key_of(reader)
    rotate = f"keys/{ApiKey.objects.get().token_id}/rotate/"
    assert ask("POST", rotate, {}).problem["code"] == "reauthentication_required"
    assert ask("GET", "keys/").json()["count"] == 1


WRONG: dict[str, list[Any]] = {
    "name": ["", " ", "a\nb", "a\0", "x" * 65, 7, None, []],
    "allowed_models": ["phi", [], [""], [7], ["a b"], ["x\0"], ["x"] * 65],
    "requests_per_minute": [0, -1, 100_001, 10**30, "5", 1.5, True],
    "may_manage": ["yes", 1, None, []],
    "expires_at": ["", "soon", 7, "2020-01-01T00:00:00Z", "9999-12-31T23:59:59-14:00"],
}


@pytest.mark.parametrize(
    ("field", "value"), [(field, value) for field, values in WRONG.items() for value in values]
)
def test_what_is_wrong_in_a_key_is_named(ask: Asker, field: str, value: Any) -> None:
    problem = ask("POST", "keys/", {"name": "laptop", field: value}).problem
    assert problem["code"] == "invalid_request"
    assert problem["errors"][0]["field"].split(".")[0] in (field, "")
    assert ApiKey.objects.count() == 1


def test_a_key_gets_a_new_secret(ask: Asker) -> None:
    old = issued(ask)
    new = ask("POST", f"keys/{old['id']}/rotate/", {"grace_h": 1}).json()
    assert (new["id"], new["name"]) == (old["id"], old["name"])
    assert new["key"] != old["key"]
    assert new["previous_until"] is not None
    for wrong in (25, "1", -1, None):
        assert ask("POST", f"keys/{old['id']}/rotate/", {"grace_h": wrong}).status == 400


def test_a_key_is_revoked(ask: Asker) -> None:
    made = issued(ask)
    revoked = ask("POST", f"keys/{made['id']}/revoke/").json()
    assert (revoked["id"], revoked["state"]) == (made["id"], "revoked")
    assert ask("GET", f"keys/{made['id']}/").json()["state"] == "revoked"
    assert ask("POST", f"keys/{made['id']}/revoke/").problem["code"] == "conflict"
    assert ask("POST", f"keys/{made['id']}/rotate/", {}).problem["code"] == "conflict"


def test_others_keys_are_not_there(ask: Asker) -> None:
    key_of(make_user("other@example.org"))
    theirs = ApiKey.objects.get(user__email="other@example.org")
    assert ask("GET", f"keys/{theirs.token_id}/").status == 404
    assert ask("POST", f"keys/{theirs.token_id}/revoke/").status == 404
    assert ask("POST", f"keys/{theirs.token_id}/rotate/", {}).status == 404
    assert ask("GET", "keys/").json()["count"] == 1


def test_usage_is_listed_by_day_for_ones_own_keys(ask: Asker, reader: User) -> None:
    other = make_user("other@example.org")
    for owner in (reader, other):
        key = ApiKey.objects.filter(user=owner).first() or ApiKey.objects.get(
            token_id=key_of(owner).split("_")[1]
        )
        for day in (1, 2):
            figures = {"requests": day, "prompt_tokens": 10 * day, "completion_tokens": 5}
            KeyUsage.objects.create(
                api_key=key, day=date(2026, 1, day), model_name="phi-2", **figures
            )
    found = ask("GET", "usage/").json()
    assert [one["day"] for one in found["results"]] == ["2026-01-02", "2026-01-01"]
    first = found["results"][0]
    assert (first["key_name"], first["model"], first["requests"]) == ("test", "phi-2", 2)
    assert (first["prompt_tokens"], first["completion_tokens"]) == (20, 5)
    for query, count in (
        ("day_from=2026-01-02", 1),
        ("model=phi-3", 0),
        ("key=" + first["key"], 2),
    ):
        assert ask("GET", f"usage/?{query}").json()["count"] == count
    assert ask("GET", "usage/?day_from=yesterday").problem["code"] == "invalid_request"
