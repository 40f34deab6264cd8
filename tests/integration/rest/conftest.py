"""People with keys, and how they ask `/api/`."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from django.contrib.auth import get_user_model

from apps.accounts import roles
from apps.accounts.keys.services import api_key_issue
from apps.accounts.models import User
from tests.clients import SiteClient

PROBLEM = "application/problem+json"


@dataclass
class Reply:
    """A whole answer; a problem's form is checked when it is read."""

    response: Any

    @property
    def status(self) -> int:
        return int(self.response.status_code)

    @property
    def headers(self) -> Any:
        return self.response.headers

    def json(self) -> Any:
        return json.loads(self.response.content)

    @property
    def problem(self) -> dict[str, Any]:
        assert self.headers["Content-Type"] == PROBLEM, self.response.content
        found: dict[str, Any] = self.json()
        assert found["status"] == self.status
        assert {"type", "title", "code", "detail"} <= set(found)
        assert found["type"] == f"urn:motherfluxer:error:{found['code']}"
        return found


class Asker:
    """Asks `/api/` with one key, or without."""

    def __init__(self, key: str | None = None, site: str = "", client: Any = None) -> None:
        self.client = client or SiteClient(site)
        self.headers = {"authorization": f"Bearer {key}"} if key else {}

    def __call__(
        self, method: str, path: str, body: Any = None, *, raw: bytes | None = None, **headers: str
    ) -> Reply:
        sent = {**self.headers, **{k.replace("_", "-"): v for k, v in headers.items()}}
        data = raw if raw is not None else b"" if body is None else json.dumps(body).encode()
        kind = sent.pop("content-type", "application/json")
        return Reply(
            self.client.generic(method, f"/api/{path}", data, content_type=kind, headers=sent)
        )


def make_user(email: str, *, is_operator: bool = False) -> User:
    user = get_user_model().objects.create_user(email, "a long password")
    if is_operator:
        roles.role_grant_operator(user=user)
    return user


def key_of(user: User, *, may_manage: bool = True) -> str:
    return api_key_issue(user=user, name="test", may_manage=may_manage)[1]


@pytest.fixture
def reader(transactional_db: None) -> User:
    return make_user("reader@example.org")


@pytest.fixture
def ask(reader: User) -> Asker:
    return Asker(key_of(reader))


@pytest.fixture
def operator(transactional_db: None) -> User:
    return make_user("operator@example.org", is_operator=True)


@pytest.fixture
def ask_operator(operator: User) -> Asker:
    return Asker(key_of(operator))


AskerOf = Callable[[User], Asker]
