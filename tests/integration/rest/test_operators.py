"""Credentials and instances under `/api/`: an operator's own, with secrets shown once."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from apps.accounts.models import User
from apps.instances import selectors, services
from apps.instances.models import Credential, KnownInstance
from motherfluxer_wire.tokens import INSTANCE_PREFIX, parse_token
from tests.integration.rest.conftest import Asker, make_user

pytestmark = pytest.mark.django_db(transaction=True)


def issued(ask: Asker, **asked: Any) -> dict[str, Any]:
    reply = ask("POST", "credentials/", {"name": "gpu", **asked})
    assert reply.status == 201, reply.response.content
    assert "no-store" in reply.headers["Cache-Control"]
    found: dict[str, Any] = reply.json()
    return found


def test_a_credential_is_issued_and_its_text_shown_once(ask_operator: Asker) -> None:
    made = issued(ask_operator, allowed_models=["phi-2", "lab/echo"])
    token = parse_token(INSTANCE_PREFIX, made["credential"])
    assert token is not None
    kept = selectors.credential_of_token(token_id=made["id"])
    assert kept is not None
    assert token.matches(kept.digest)
    assert (made["state"], made["allowed_models"]) == ("valid", ["lab/echo", "phi-2"])
    for path in ("credentials/", f"credentials/{made['id']}/"):
        shown = ask_operator("GET", path).json()
        [one] = shown.get("results", [shown])
        assert one == {key: value for key, value in made.items() if key != "credential"}
        assert token.text not in str(shown)
        assert kept.digest not in str(shown)


def test_a_name_is_there_once(ask_operator: Asker) -> None:
    issued(ask_operator)
    assert ask_operator("POST", "credentials/", {"name": "gpu"}).problem["code"] == "conflict"


WRONG: dict[str, list[Any]] = {
    "name": ["", " a", "a\nb", "a\0", "mfi_x", "x" * 65, 7, None, []],
    "allowed_models": ["phi", [""], [7], ["a b"], ["x\0"], ["x"] * 65],
    "expires_at": [
        *("", "soon", 7, "2020-01-01T00:00:00Z", "9" * 400),
        *("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"),
    ],
}


@pytest.mark.parametrize(
    ("field", "value"), [(field, value) for field, values in WRONG.items() for value in values]
)
def test_what_is_wrong_in_a_credential_is_named(
    ask_operator: Asker, field: str, value: Any
) -> None:
    problem = ask_operator("POST", "credentials/", {"name": "gpu", field: value}).problem
    assert problem["code"] == "invalid_request"
    assert problem["errors"][0]["field"].split(".")[0] == field
    assert not Credential.objects.exists()


def test_a_credential_is_rotated(ask_operator: Asker) -> None:
    ends = (timezone.now() + timedelta(days=3)).isoformat()
    old = issued(ask_operator, allowed_models=["phi-2"], expires_at=ends)
    new = ask_operator("POST", f"credentials/{old['id']}/rotate/").json()
    same = ("name", "allowed_models", "expires_at")
    assert [new[key] for key in same] == [old[key] for key in same]
    assert new["credential"] not in (None, old["credential"])
    assert ask_operator("GET", f"credentials/{old['id']}/").json()["state"] == "revoked"
    again = ask_operator("POST", f"credentials/{old['id']}/rotate/")
    assert again.problem["code"] == "conflict"


def test_a_credential_is_revoked(ask_operator: Asker) -> None:
    made = issued(ask_operator)
    revoke = f"credentials/{made['id']}/revoke/"
    assert ask_operator("POST", revoke).json()["state"] == "revoked"
    assert selectors.tokens_ended(token_ids=frozenset({made["id"]})) == {made["id"]}
    assert ask_operator("POST", revoke).problem["code"] == "conflict"
    for wanted, count in (("true", 1), ("false", 0)):
        assert ask_operator("GET", f"credentials/?is_revoked={wanted}").json()["count"] == count


def record_instance(owner: User, name: str) -> KnownInstance:
    credential, _ = services.credential_issue(operator_id=owner.pk, name=f"for {name}")
    services.instance_record(
        token_id=credential.token_id,
        name=name,
        agent="test/1",
        served_models=[{"name": "phi-2"}],
        slots=3,
        region="",
        hardware=None,
    )
    return KnownInstance.objects.get(credential=credential)


def test_instances_are_shown_as_they_are_now(ask_operator: Asker, operator: User) -> None:
    made = record_instance(operator, "one")
    [found] = ask_operator("GET", "instances/").json()["results"]
    assert found == ask_operator("GET", f"instances/{made.pk}/").json()
    assert (found["name"], found["state"], found["models"]) == ("one", "healthy", ["phi-2"])
    assert (found["credential"], found["slots"]) == (made.credential.token_id, 3)
    services.instance_disconnect(token_id=made.credential.token_id, name="one")
    assert ask_operator("GET", f"instances/{made.pk}/").json()["state"] == "offline"


def test_others_credentials_and_instances_are_not_there(ask_operator: Asker) -> None:
    other = record_instance(make_user("other@example.org", is_operator=True), "theirs")
    paths = (f"credentials/{other.credential.token_id}/", f"instances/{other.pk}/")
    for path in paths:
        assert ask_operator("GET", path).problem["code"] == "not_found"
    assert ask_operator("POST", f"{paths[0]}revoke/").status == 404
    assert ask_operator("POST", f"{paths[0]}rotate/").status == 404
    assert Credential.objects.get().revoked_at is None
    for name in ("credentials", "instances"):
        assert ask_operator("GET", f"{name}/").json()["count"] == 0


@pytest.mark.parametrize("path", ["instances/0/", "instances/99999999999999999999999/"])
def test_an_instance_that_never_was_is_not_there(ask_operator: Asker, path: str) -> None:
    assert ask_operator("GET", path).problem["code"] == "not_found"
