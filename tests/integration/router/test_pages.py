"""The public pages that explain the routing, over the live router in this event loop."""

import json
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth import get_user_model
from django.test import AsyncClient

from apps.accounts.factors import SESSION_KEY
from apps.router import ports
from apps.router.core import events
from apps.router.core.values import (
    AttemptOutcome,
    FailureCode,
    Health,
    ServedModel,
    ServiceClass,
)
from apps.router.live.links import InstanceLink
from apps.router.live.runtime import LiveRouter, running_router
from apps.router.ports import Admission
from motherfluxer.hosts import cookie_name
from tests.clients import factor_of

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
async def router() -> AsyncIterator[LiveRouter]:
    """A live router that no gate tells of credentials: the instances here have none."""
    gate = ports.instance_gate.get()
    ports.instance_gate.register(cast(Any, None))
    async with running_router() as live:
        yield live
    ports.instance_gate.register(gate)


class SuperadminClient(AsyncClient):
    """A browser at the superadmin's site."""

    def _base_scope(self, **request: Any) -> Any:
        host = f"superadmin.{settings.MOTHERFLUXER_DOMAIN}".encode()
        headers = [pair for pair in request["headers"] if pair[0] != b"host"]
        scope = {**request, "headers": [(b"host", host), *headers]}
        return super()._base_scope(**scope)  # type: ignore[misc]  # the stubs leave it out


async def signed_in_superadmin() -> AsyncClient:
    """Sign a superadmin in."""
    boss = await get_user_model().objects.acreate(email="boss@example.org", is_superuser=True)
    client = SuperadminClient()
    await client.aforce_login(boss, settings.AUTHENTICATION_BACKENDS[0])
    session = await client.asession()
    await session.aset(SESSION_KEY, await sync_to_async(factor_of)(boss))
    await session.asave()
    name = cookie_name(settings.SESSION_COOKIE_NAME, "superadmin", is_secure=False)
    client.cookies[name] = client.cookies.pop(settings.SESSION_COOKIE_NAME).value
    return client


TINY = ServedModel("tiny", 1024, 512, can_continue=True)


def do(router: LiveRouter, event: events.Event) -> None:
    """Let the core step and keep what is for the record."""
    for effect in router.service.handle(event):
        if recorded := getattr(effect, "decision", None) or getattr(effect, "ended", None):
            router.gateway.decisions.add(recorded)


def decide(router: LiveRouter) -> None:
    """Let the core make one decision and keep it."""
    do(router, events.InstanceJoined("s1", "i1", "one", (TINY,), 2))
    do(router, events.JobSubmitted("j1", "user:7", ServiceClass.REGISTERED))


def connect(router: LiveRouter, session: str, name: str, *, slots: int = 1) -> None:
    """Connect an instance that has a link."""
    admission = Admission(credential_id=name, credential_name=name, operator_email="op@example.org")
    link = router.gateway.links[session] = InstanceLink(session=session, admission=admission)
    link.name, link.agent = name, "test/1"
    do(router, events.InstanceJoined(session, name, name, (TINY,), slots))


async def test_status_says_what_happens_without_instances(router: LiveRouter) -> None:
    page = await AsyncClient().get("/status")
    assert "No instance is connected right now" in page.content.decode()


async def test_decision_is_explained_as_page_and_json(router: LiveRouter) -> None:
    decide(router)
    client = AsyncClient()
    latest = await client.get("/transparency")
    assert "/transparency/decisions/j1" in latest.content.decode()
    page = await client.get("/transparency/decisions/j1")
    assert "chosen" in page.content.decode()
    told = await client.get("/transparency/decisions/j1.json")
    [attempt] = json.loads(told.content)["attempts"]
    assert attempt["winner"] == "one"
    assert attempt["table"][0]["slots"] == 2
    assert "user:7" not in told.content.decode()


async def test_unknown_decision_is_not_found(router: LiveRouter) -> None:
    page = await AsyncClient().get("/transparency/decisions/no")
    assert page.status_code == 404


async def test_failed_attempt_and_the_next_are_both_told(router: LiveRouter) -> None:
    decide(router)
    do(router, events.InstanceJoined("s2", "i2", "two", (TINY,), 2))
    do(router, events.JobProgressed("j1", 1, 5))
    do(router, events.AttemptFailed("s1", "j1", 1, FailureCode.ENGINE_ERROR, "no"))
    do(router, events.AttemptDone("s2", "j1", 2, "stop", 10, 7))
    client = AsyncClient()
    page = (await client.get("/transparency/decisions/j1")).content.decode()
    assert "2 attempts were made" in page
    assert "then the instance failed" in page
    assert "has failed this very request before" in page
    assert "gave 7 tokens" in page
    assert "the answer was complete" in page
    told = json.loads((await client.get("/transparency/decisions/j1.json")).content)
    outcomes = [(one["winner"], one["ended"]["outcome"]) for one in told["attempts"]]
    assert outcomes == [("one", AttemptOutcome.FAILED), ("two", AttemptOutcome.DONE)]


async def test_status_counts_instances_by_state_in_words(router: LiveRouter) -> None:
    connect(router, "s1", "one")
    connect(router, "s2", "two")
    do(router, events.InstanceDraining("s2"))
    page = (await AsyncClient().get("/status")).content.decode()
    for state in ("joining", "draining"):
        assert f'1 <span class="badge" data-health="{state}">{state}</span>' in page
    for state in Health:
        assert f'data-health="{state}"' in page
    assert "is winding up: it finishes what it has" in page


async def test_superadmin_sees_ejection_failures_and_the_queue(router: LiveRouter) -> None:
    for number in range(4):
        connect(router, f"s{number}", f"i{number}")
    for number in range(3):
        job_id = f"j{number}"
        do(router, events.JobSubmitted(job_id, "user:7", ServiceClass.DEMO))
        session = router.service.state.jobs[job_id].session or ""
        record = router.service.state.instances[session].record
        record.consecutive_failures = 2
        failed = events.AttemptFailed(session, job_id, 1, FailureCode.ENGINE_ERROR, "no")
        do(router, failed)
        do(router, events.JobCancelled(job_id, "enough"))
        if record.health is Health.EJECTED:
            break
    assert record.health is Health.EJECTED
    do(router, events.LinkBroken("s3"))
    do(router, events.JobSubmitted("w1", "user:7", ServiceClass.REGISTERED, "unheard-of"))
    client = await signed_in_superadmin()
    page = (await client.get("/router/")).content.decode()
    assert "3 in a row" in page
    assert "s more" in page
    assert "Left: i3" in page
    view = json.loads((await client.get("/router/view.json")).content)
    ejected = [one for one in view["instances"] if one["state"] == "ejected"]
    assert len(ejected) == view["health"]["ejected"] == 1
    assert 0 < ejected[0]["ejected_for_s"] <= 6
    assert ejected[0]["consecutive_failures"] == 3
    classes = [one["service_class"] for one in view["queue"]]
    assert classes == ["registered", "demo", "probe"]


async def test_superadmin_sees_which_instance_pauses_and_what_it_serves_usually(
    router: LiveRouter,
) -> None:
    connect(router, "s1", "i1")
    do(router, events.InstanceChanged("s1", (), 1))
    client = await signed_in_superadmin()
    assert "mf-state-paused" in (await client.get("/router/")).content.decode()
    [seen] = json.loads((await client.get("/router/view.json")).content)["instances"]
    assert (seen["state"], seen["models"]) == ("paused", [TINY.name])
    do(router, events.InstanceChanged("s1", (TINY,), 1))
    [seen] = json.loads((await client.get("/router/view.json")).content)["instances"]
    assert (seen["state"], seen["models"]) == ("joining", [TINY.name])
