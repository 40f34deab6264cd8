"""The public pages that explain the routing, over the live router in this event loop."""

import json
from collections.abc import AsyncIterator

import pytest
from django.test import AsyncClient

from apps.router import words
from apps.router.core import events
from apps.router.core.values import AttemptOutcome, RuledOut, ServedModel, ServiceClass
from apps.router.live.runtime import LiveRouter, running_router

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
async def router() -> AsyncIterator[LiveRouter]:
    async with running_router() as live:
        yield live


def decide(router: LiveRouter) -> None:
    """Let the core make one decision and keep it."""
    tiny = ServedModel("tiny", 1024, 512)
    router.service.handle(events.InstanceJoined("s1", "i1", "one", (tiny,), 2))
    submitted = events.JobSubmitted("j1", "user:7", ServiceClass.REGISTERED)
    for effect in router.service.handle(submitted):
        if decision := getattr(effect, "decision", None):
            router.gateway.decisions.add(decision)


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


def test_every_reason_and_outcome_has_its_words() -> None:
    assert set(words.REASONS) == set(RuledOut)
    assert set(words.OUTCOMES) == set(AttemptOutcome)


async def test_unknown_decision_is_not_found(router: LiveRouter) -> None:
    page = await AsyncClient().get("/transparency/decisions/no")
    assert page.status_code == 404
