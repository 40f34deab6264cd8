"""What anybody may read under `/api/`: the fleet, the decisions, the schema, over a live router."""

import base64
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.test import AsyncClient

from apps.router.core import events
from apps.router.core.values import AttemptOutcome, ServedModel, ServiceClass
from apps.router.live.runtime import LiveRouter
from tests.integration.rest.conftest import PROBLEM, Asker
from tests.integration.router.test_pages import connect, decide, do, router

__all__ = ["router"]
ROOT = Path(__file__).resolve().parents[3]
pytestmark = pytest.mark.django_db(transaction=True)


async def get(path: str, status: int = 200) -> Any:
    answer = await AsyncClient().get(f"/api/{path}")
    assert answer.status_code == status, answer.content
    if status != 200:
        assert answer.headers["Content-Type"] == PROBLEM
    return json.loads(answer.content)


async def test_the_fleet_is_shown_without_names_of_people(router: LiveRouter) -> None:
    connect(router, "s1", "one", slots=2)
    do(router, events.JobSubmitted("j1", "user:7", ServiceClass.REGISTERED))
    found = await get("fleet/")
    assert (found["instances"], sum(found["health"].values())) == (1, 1)
    [model] = found["models"]
    assert (model["name"], model["instances"]) == ("tiny", 1)
    assert {one["service_class"]: one["running"] for one in found["queue"]}["registered"] == 1
    assert "example.org" not in json.dumps(found)


async def test_a_decision_is_explained(router: LiveRouter) -> None:
    decide(router)
    found = await get("decisions/j1/")
    [attempt] = found["attempts"]
    assert (found["job_id"], attempt["instance_name"], attempt["ended"]) == ("j1", "one", None)
    [candidate] = attempt["candidates"]
    assert (candidate["name"], candidate["is_winner"]) == ("one", True)
    do(router, events.AttemptDone("s1", "j1", 1, "stop", 3, 5, 0))
    [attempt] = (await get("decisions/j1/"))["attempts"]
    assert (attempt["ended"]["outcome"], attempt["ended"]["tokens"]) == (AttemptOutcome.DONE, 5)
    await get("decisions/never/", 404)


async def test_decisions_are_listed_newest_first(router: LiveRouter) -> None:
    served = ServedModel("tiny", 1024, 512, can_continue=True)
    do(router, events.InstanceJoined("s1", "i1", "one", (served,), 100))
    for number in range(60):
        do(router, events.JobSubmitted(f"j{number}", "user:7", ServiceClass.REGISTERED))
    do(router, events.AttemptDone("s1", "j59", 1, "stop", 3, 5, 0))
    await router.gateway.decisions.writer.flush()
    first = await get("decisions/")
    assert [one["job_id"] for one in first["results"]] == [f"j{n}" for n in range(59, 9, -1)]
    assert (first["results"][0]["ended"]["tokens"], first["results"][1]["ended"]) == (5, None)
    rest = await get(first["next"].partition("/api/")[2])
    assert [one["job_id"] for one in rest["results"]] == [f"j{n}" for n in range(9, -1, -1)]
    assert (await get("decisions/?made_before=2020-01-01T00:00:00Z"))["results"] == []


@pytest.mark.parametrize("place", [b"p=abc", b"p=-1", b"p=" + b"9" * 30, b"o=x", b"p=\0", b"\xff"])
async def test_a_made_up_cursor_leads_nowhere(router: LiveRouter, place: bytes) -> None:
    await get(f"decisions/?cursor={base64.b64encode(place).decode()}", 404)


@pytest.mark.parametrize("path", ["fleet/", "decisions/j1/"])
def test_without_a_router_it_is_said(path: str) -> None:
    reply = Asker()("GET", path)
    assert (reply.status, reply.problem["code"]) == (503, "shutting_down")


def test_the_schema_is_alike_in_every_process() -> None:
    command = [sys.executable, "manage.py", "spectacular", "--urlconf", "motherfluxer.urls.public"]
    written = [
        subprocess.run(
            command, cwd=ROOT, env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True
        ).stdout
        for seed in ("0", "1")
    ]
    assert b"/api/account/" in written[0]
    assert written[0] == written[1]
