"""The health pages, beside a real live router."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from channels.db import database_sync_to_async
from django.test import AsyncClient

from apps.accounts.services import first_accounts_make
from apps.instances.selectors import operator_id
from apps.instances.services import credential_issue
from apps.router.live.links import InstanceLink
from apps.router.live.runtime import LiveRouter, running_router
from apps.router.ports import Admission
from motherfluxer_wire.frames import Hello, Model

pytestmark = pytest.mark.django_db(transaction=True)
HOSTS = ["localhost", "127.0.0.1"] + [
    f"{site}motherfluxer.localhost" for site in ("", "user.", "admin.", "superadmin.")
]


@pytest.fixture
async def router() -> AsyncIterator[LiveRouter]:
    async with running_router() as running:
        yield running


async def _get(path: str, host: str = "localhost") -> tuple[int, dict[str, Any]]:
    response = await AsyncClient(headers={"host": host}).get(path)
    assert "no-store" in response.headers["Cache-Control"]
    return response.status_code, response.json()


def _credential_id() -> str:
    """Make a real credential: the live router cuts links whose credential is none."""
    first_accounts_make(domain="example.org")
    operator = operator_id(email="operator@example.org")
    return credential_issue(operator_id=operator, name="x")[0].token_id


async def _join(router: LiveRouter) -> None:
    token_id = await database_sync_to_async(_credential_id)()
    admission = Admission(
        credential_id=token_id, credential_name="x", operator_email="operator@example.org"
    )
    served = Model(name="tiny", context_tokens=512, max_output_tokens=128)
    hello = Hello(agent="test/1", instance="box", models=[served], slots=1)
    router.gateway.link_opened(InstanceLink(session="s", admission=admission), hello)


@pytest.mark.parametrize("host", HOSTS)
async def test_every_site_says_that_it_lives(host: str) -> None:
    assert await _get("/healthz", host) == (200, {"status": "ok"})


@pytest.mark.parametrize("host", HOSTS)
async def test_a_site_with_an_instance_is_ready(router: LiveRouter, host: str) -> None:
    await _join(router)
    status, body = await _get("/readyz", host)
    assert (status, body["status"]) == (200, "ready")
    assert all(body[part]["ok"] for part in ("database", "bus", "instances"))
    assert body["instances"]["detail"] == "1 connected"


async def test_a_site_without_an_instance_is_not_ready_and_says_why(router: LiveRouter) -> None:
    status, body = await _get("/readyz")
    assert (status, body["status"]) == (503, "not ready")
    assert body["database"]["ok"]
    assert body["bus"]["ok"]
    assert body["instances"] == {"ok": False, "detail": "none is connected"}


async def test_a_process_without_the_router_is_not_ready() -> None:
    status, body = await _get("/readyz")
    assert status == 503
    assert not body["bus"]["ok"]
    assert not body["instances"]["ok"]


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_load_balancer_asks_by_address(router: LiveRouter, settings: Any, path: str) -> None:
    settings.ALLOWED_HOSTS = [".motherfluxer.localhost"]
    status, body = await _get(path, "10.20.16.4:8000")
    assert (status, body["status"]) in {(200, "ok"), (503, "not ready")}
    elsewhere = await AsyncClient(headers={"host": "10.20.16.4:8000"}).get("/")
    assert elsewhere.status_code == 400
