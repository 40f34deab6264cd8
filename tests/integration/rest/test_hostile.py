"""Bodies that nobody should send, to every address that takes one: a problem, and no fault."""

import json
from typing import Any

import pytest

from apps.accounts.keys.models import ApiKey
from apps.accounts.models import User
from tests.integration.rest.conftest import Asker, make_user
from tests.integration.rest.test_conversations import conversation
from tests.integration.rest.test_operators import record_instance

pytestmark = pytest.mark.django_db(transaction=True)

BODIES: dict[str, bytes] = {
    "nothing in JSON": b"{",
    "not UTF-8": b'{"name": "\xff"}',
    "UTF-16": '{"name": "x"}'.encode("utf-16"),
    "a byte order mark": b'\xef\xbb\xbf{"name": "x"}',
    "NaN": b'{"name": NaN}',
    "infinity": b'{"grace_h": Infinity, "requests_per_minute": -Infinity, "name": 1e999}',
    "a lone surrogate": b'{"name": "\\ud800", "title": "\\ud800", "grace_h": "\\udfff"}',
    "a null character": b'{"name": "a\\u0000b", "title": "a\\u0000b", "grace_h": "\\u0000"}',
    "a null byte": b'{"name": "a\0b"}',
    "deep lists": b"[" * 30_000 + b"]" * 30_000,
    "deep objects": b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    "a deep value": b'{"name": ' + b"[" * 900 + b"]" * 900 + b', "title": {}, "grace_h": []}',
    "a list": b"[]",
    "a text": b'"text"',
    "a number": b"7",
    "null": b"null",
    "a huge number": b'{"grace_h": ' + b"9" * 5000 + b', "name": 1, "title": 1}',
    "a huge exponent": b'{"grace_h": 1e308, "name": 1, "title": 1, "requests_per_minute": 1e308}',
    "wrong types": b'{"name": {}, "title": [], "grace_h": {}, "allowed_models": 1}',
    "10 MB": b'{"name": "' + b"x" * 10_000_000 + b'"}',
    "many fields": json.dumps({f"field{n}": n for n in range(3000)} | {"title": 1}).encode(),
}


@pytest.fixture
def writers(ask_operator: Asker, operator: User) -> list[tuple[str, str]]:
    """Return every address that takes a body, of things that are there."""
    made = conversation(operator)
    record_instance(operator, "one")
    key = ApiKey.objects.get(user=operator)
    return [
        ("PATCH", f"conversations/{made.pk}/"),
        ("POST", "credentials/"),
        ("POST", "keys/"),
        ("POST", f"keys/{key.token_id}/rotate/"),
    ]


@pytest.mark.parametrize("what", BODIES)
def test_a_hostile_body_is_a_problem(
    ask_operator: Asker, writers: list[tuple[str, str]], what: str
) -> None:
    expected = {"request_too_large"} if what == "10 MB" else {"invalid_request"}
    for method, path in writers:
        if what == "many fields" and path.endswith("rotate/"):
            continue  # what it does not know is left out, and nothing else is needed
        reply = ask_operator(method, path, raw=BODIES[what])
        assert {reply.problem["code"]} <= expected, (path, what, reply.json())


def test_the_writers_are_all_that_the_schema_names(writers: list[tuple[str, str]]) -> None:
    from apps.api.rest.schema import schema_built

    takes = {
        (method.upper(), path)
        for path, operations in schema_built()["paths"].items()
        for method, operation in operations.items()
        if path.startswith("/api/") and "requestBody" in operation
    }
    assert len(takes) == len(writers)


@pytest.mark.parametrize(
    "query",
    [
        *("page=%00", "page=-1", "page=1e9", f"page={'9' * 5000}", "page=%ed%a0%80", "page="),
        *("page_size=%00", "page_size=0000012345", "page_size=", "page_size=%D9%A3"),
        *("name=%00", "is_revoked=%00", "is_revoked=maybe", "ordering=%00", "ordering=digest"),
        *("created_after=%00", "created_after=0001-01-01T00:00:00%2B14:00", "created_after="),
        *("created_before=9999-12-31T23:59:59-14:00", "created_after=2026-01-01T00:00:00-22:26"),
    ],
)
@pytest.mark.parametrize("path", ["conversations/", "credentials/", "instances/", "keys/"])
def test_a_hostile_query_is_answered(ask_operator: Asker, path: str, query: str) -> None:
    assert ask_operator("GET", f"{path}?{query}").status in (200, 400, 404)


@pytest.mark.parametrize("name", ["é", "\U0001f600", "a" * 64, "ﷺ", "‮x"])
def test_a_name_in_any_script_is_kept(ask_operator: Asker, name: str) -> None:
    for path in ("credentials/", "keys/"):
        reply = ask_operator("POST", path, {"name": name})
        found: Any = reply.json()
        assert (reply.status, found.get("name")) in ((201, name), (400, None))


def test_an_address_with_odd_characters_is_answered(ask_operator: Asker) -> None:
    make_user("other@example.org")
    for path in ("keys/%00/", "keys/%ff/", "credentials/../x/", "conversations/%F0%9F%98%80/"):
        assert ask_operator("GET", path).problem["code"] == "not_found"
