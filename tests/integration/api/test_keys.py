"""What a key is held to: its minute's requests, its models; and what is counted of its answers."""

import asyncio
import dataclasses
import secrets
from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from apps.api import request_limits
from apps.api.request_limits import RequestCounter
from apps.router import ports
from apps.router.live.runtime import LiveRouter
from apps.router.ports import Caller, CallRecord
from apps.router.services import job_cancel
from tests.integration.api.rig import Call, Instance, OneKeyGate, call, chat


class ScopedGate(OneKeyGate):
    """Knows one key by a scope that a test gives it, and where it came from last."""

    def __init__(self, **scope: Any) -> None:
        super().__init__()
        self.caller = dataclasses.replace(self.caller, **scope)
        self.address: str | None = None

    async def identify(self, token: str | None, *, address: str = "") -> Caller | None:
        """Return the caller."""
        self.address = address
        return await super().identify(token, address=address)


class AwayCounters:
    """Counters that nobody can reach."""

    async def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Fail."""
        raise RedisConnectionError("away")


def scoped(monkeypatch: pytest.MonkeyPatch, **scope: Any) -> ScopedGate:
    gate = ScopedGate(**scope)
    monkeypatch.setattr(ports.caller_gate, "_object", gate)
    return gate


def left(reply: Call) -> tuple[str, str]:
    headers = reply.headers
    reset = headers["x-ratelimit-reset-requests"]
    assert reset == "1m0s" or 0 < int(reset.removesuffix("s")) < 60
    return headers["x-ratelimit-limit-requests"], headers["x-ratelimit-remaining-requests"]


@pytest.fixture
def gate(router: LiveRouter) -> OneKeyGate:
    """Return the gate that knows one key."""
    found = ports.caller_gate.get()
    assert isinstance(found, OneKeyGate)
    return found


@pytest.mark.usefixtures("still_minute")
async def test_every_answer_says_what_is_left_of_the_minute(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    scoped(monkeypatch, requests_per_minute=4)
    assert left(await call("GET", "/v1/models").end()) == ("4", "3")
    assert left(await chat(temperature=9).end()) == ("4", "2")
    asked = chat(stream=True)
    instance.finish(await instance.job())
    assert left(await asked.end()) == ("4", "1")
    assert left(await call("GET", "/v1/models/none").end()) == ("4", "0")
    for _ in range(2):
        refused = await call("GET", "/v1/models").end()
        assert (refused.status, refused.error["code"]) == (429, "rate_limit_exceeded")
        assert refused.error["type"] == "rate_limit_error"
        assert left(refused) == ("4", "0")
        assert 0 < int(refused.headers["retry-after"]) <= 60


@pytest.mark.usefixtures("still_minute")
async def test_a_key_without_a_figure_has_the_sites(
    router: LiveRouter, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.API_REQUESTS_PER_MINUTE = 2
    scoped(monkeypatch, requests_per_minute=None)
    assert [(await call("GET", "/v1/models").end()).status for _ in range(3)] == [200, 200, 429]


async def test_processes_count_together(still_minute: RequestCounter) -> None:
    key_id = secrets.token_hex(6)
    others = [RequestCounter(still_minute._counters, clock=still_minute._clock) for _ in range(3)]
    counters = [still_minute, *others]
    asked = [counter.take(key_id, 60) for _ in range(30) for counter in counters]
    quotas = await asyncio.gather(*asked)
    assert sum(quota is not None and quota.used <= quota.limit for quota in quotas) == 60


async def test_who_is_not_known_is_told_nothing_of_limits(router: LiveRouter) -> None:
    reply = await call("GET", "/v1/models", key="mf_other").end()
    assert not any(name.startswith("x-ratelimit") for name in reply.headers)


async def test_requests_are_answered_where_they_cannot_be_counted(
    router: LiveRouter, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    away = RequestCounter(AwayCounters())
    monkeypatch.setattr(request_limits, "_counter", lambda: away)
    reply = await call("GET", "/v1/models").end()
    assert reply.status == 200
    assert "x-ratelimit-limit-requests" not in reply.headers
    assert "requests are not counted" in caplog.text


async def test_a_key_sees_and_asks_only_its_models(
    router: LiveRouter, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = Instance(router, "one", model_name="one")
    Instance(router, "two", model_name="two")
    scoped(monkeypatch, allowed_models=frozenset({"one", "none"}))
    listed = (await call("GET", "/v1/models").end()).json()
    assert [model["id"] for model in listed["data"]] == ["one"]
    for refused in (chat(model="two"), chat(model="three"), call("GET", "/v1/models/two")):
        reply = await refused.end()
        assert (reply.status, reply.error["code"]) == (403, "model_out_of_scope")
        assert reply.error["param"] == "model"
    assert (await chat(model="none").end()).error["code"] == "model_not_found"
    asked = chat(model="one")
    one.finish(await one.job())
    assert (await asked.end()).status == 200


async def test_the_gate_hears_where_a_request_comes_from(
    router: LiveRouter, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = scoped(monkeypatch)
    await call("GET", "/v1/models").end()
    assert gate.address == ""
    await call("GET", "/v1/models", client=("2001:db8::1", 4)).end()
    assert gate.address == "2001:db8::1"


@pytest.mark.parametrize("is_streamed", [False, True])
async def test_a_whole_answer_is_counted(
    instance: Instance, gate: OneKeyGate, is_streamed: bool
) -> None:
    asked = chat(stream=is_streamed)
    job = await instance.job()
    instance.say(job, "a", "b")
    instance.finish(job)
    await asked.end()
    assert gate.records == [
        CallRecord(
            key_id=gate.caller.key_id,
            user_id=7,
            model_name="lab/echo",
            prompt_tokens=3,
            completion_tokens=2,
        )
    ]


@pytest.mark.parametrize("is_streamed", [False, True])
async def test_what_was_given_of_a_stopped_answer_is_counted(
    instance: Instance, gate: OneKeyGate, is_streamed: bool
) -> None:
    asked = chat("Hello" * 4, stream=is_streamed)
    job = await instance.job()
    instance.say(job, "a", "b")
    if is_streamed:
        await asked.body_holding(b"b")
    asked.hang_up()
    await asked.end()
    [record] = gate.records
    assert (record.prompt_tokens, record.completion_tokens) == (5, 2)


async def test_an_answer_that_never_began_or_failed_is_not_counted(
    instance: Instance, gate: OneKeyGate
) -> None:
    first = chat("running")
    job = await instance.job()
    waiting = chat("waiting")
    await asyncio.sleep(0)
    waiting.hang_up()
    await waiting.end()
    instance.say(job, "a")
    instance.fail(job, "bad_request")
    assert (await first.end()).status == 400
    stopped = chat("stopped")
    job_cancel(job_id=(await instance.job()).job, reason="by hand")
    assert (await stopped.end()).status == 502
    assert gate.records == []
