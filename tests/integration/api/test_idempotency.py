"""Requests that are sent again under the same name: one job, the same answer."""

import asyncio
import dataclasses
from typing import Any

import pytest

from apps.api import answering, idempotency, jobs
from apps.api.conf import CONF
from apps.api.idempotency import KeptAnswers
from apps.router import ports
from apps.router.live.runtime import LiveRouter
from apps.router.ports import Caller
from motherfluxer_wire import frames
from tests.integration.api.rig import Call, Instance, OneKeyGate, call


@pytest.fixture(autouse=True)
def kept(monkeypatch: pytest.MonkeyPatch) -> KeptAnswers:
    made = KeptAnswers()
    monkeypatch.setattr(answering, "KEPT", made)
    return made


@pytest.fixture
def records(router: LiveRouter) -> list[Any]:
    gate = ports.caller_gate.get()
    assert isinstance(gate, OneKeyGate)
    return gate.records


def named(
    name: str = "once", text: str = "Hello", key: str = "mf_known", **parameters: object
) -> Call:
    """Begin a chat completion that bears a name."""
    messages = [{"role": "user", "content": text}]
    body = {"model": "lab/echo", "messages": messages, **parameters}
    headers = ((b"idempotency-key", name.encode()),)
    return call("POST", "/v1/chat/completions", body, key=key, headers=headers)


async def steps(count: int = 20) -> None:
    """Let everything that can go on go on."""
    for _ in range(count):
        await asyncio.sleep(0)


def conf_of(monkeypatch: pytest.MonkeyPatch, **changes: Any) -> None:
    conf = dataclasses.replace(CONF, **changes)
    for module in (answering, idempotency, jobs):
        monkeypatch.setattr(module, "CONF", conf)


async def test_a_whole_answer_is_given_again_without_a_job(
    instance: Instance, router: LiveRouter, records: list[Any]
) -> None:
    first = named()
    job = await instance.job()
    instance.say(job, "Hel", "lo")
    instance.finish(job)
    reply = await first.end()
    again = await named().end()
    assert again.json() == reply.json()
    assert "idempotent-replayed" not in reply.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert again.headers["x-motherfluxer-instance"] == "one"
    assert again.headers["x-request-id"] != reply.headers["x-request-id"]
    assert not router.service.state.jobs
    assert len(records) == 1


@pytest.mark.parametrize("is_streamed", [False, True])
async def test_a_retry_is_given_the_running_answer_from_its_start(
    instance: Instance, records: list[Any], is_streamed: bool
) -> None:
    lost = named(stream=is_streamed)
    job = await instance.job()
    instance.say(job, "one ")
    if is_streamed:
        await lost.body_holding(b"one ")
    lost.hang_up()
    assert (await lost.end()).is_over is False
    retry = named(stream=is_streamed)
    await steps()
    instance.say(job, "two")
    instance.finish(job)
    reply = await retry.end()
    assert reply.headers["idempotent-replayed"] == "true"
    if is_streamed:
        pieces = [event["choices"][0]["delta"].get("content") for event in reply.events[:-1]]
        assert "".join(piece or "" for piece in pieces) == "one two"
        assert reply.events[-1] == "[DONE]"
    else:
        assert reply.json()["choices"][0]["message"]["content"] == "one two"
    assert len(records) == 1


async def test_two_at_once_share_a_job(instance: Instance) -> None:
    both = [named(stream=True), named(stream=True)]
    job = await instance.job()
    instance.say(job, "Hello")
    await steps()
    both[0].hang_up()
    await both[0].end()
    instance.finish(job)
    assert (await both[1].end()).events[-1] == "[DONE]"


async def test_an_answer_that_ends_while_its_reader_is_away_is_counted_and_kept(
    instance: Instance, records: list[Any]
) -> None:
    lost = named()
    job = await instance.job()
    lost.hang_up()
    await lost.end()
    instance.say(job, "done")
    instance.finish(job)
    await steps()
    assert [record.completion_tokens for record in records] == [1]
    again = await named().end()
    assert again.json()["choices"][0]["message"]["content"] == "done"
    assert len(records) == 1


async def test_who_comes_back_and_leaves_again_is_waited_for_anew(
    instance: Instance, records: list[Any]
) -> None:
    first = named()
    job = await instance.job()
    for asked in (first, named(), named()):
        await steps()
        asked.hang_up()
        await asked.end()
    last = named()
    await steps()
    instance.finish(job)
    assert (await last.end()).headers["idempotent-replayed"] == "true"
    assert len(records) == 1


async def test_a_job_that_nobody_comes_back_for_is_stopped(
    instance: Instance, monkeypatch: pytest.MonkeyPatch, records: list[Any]
) -> None:
    conf_of(monkeypatch, reader_awaited_s=0.001)
    lost = named()
    job = await instance.job()
    instance.say(job, "one ")
    lost.hang_up()
    await lost.end()
    assert (await instance.frame(frames.Cancel)).job == job.job
    assert [record.completion_tokens for record in records] == [1]
    instance.finish(job, "cancelled")
    retry = named()
    fresh = await instance.job()
    assert fresh.job != job.job
    instance.finish(fresh)
    assert "idempotent-replayed" not in (await retry.end()).headers


@pytest.mark.parametrize("is_streamed", [False, True])
async def test_a_failed_answer_is_not_kept(instance: Instance, is_streamed: bool) -> None:
    failed = named(stream=is_streamed)
    instance.fail(await instance.job(), "bad_request")
    assert (await failed.end()).status == 400
    retry = named(stream=is_streamed)
    instance.finish(await instance.job())
    reply = await retry.end()
    assert (reply.status, "idempotent-replayed" in reply.headers) == (200, False)


async def test_a_request_that_is_not_taken_leaves_its_name_free(
    router: LiveRouter, instance: Instance
) -> None:
    instance.leave()
    assert (await named().end()).status == 503
    back = Instance(router, "two")
    asked = named()
    back.finish(await back.job())
    assert (await asked.end()).status == 200


async def test_another_request_under_the_same_name_is_refused(instance: Instance) -> None:
    first = named()
    job = await instance.job()
    for other in (named(text="Bye"), named(stream=True)):
        reply = await other.end()
        assert (reply.status, reply.error["code"]) == (422, "idempotency_key_reused")
    instance.finish(job)
    assert (await first.end()).status == 200
    body = {"model": "lab/echo", "prompt": "Hello"}
    headers = ((b"idempotency-key", b"once"),)
    assert (await call("POST", "/v1/completions", body, headers=headers).end()).status == 422


async def test_names_of_different_keys_have_nothing_to_do_with_each_other(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    class TwoKeyGate(OneKeyGate):
        async def identify(self, token: str | None, *, address: str = "") -> Caller | None:
            return Caller(requester=f"user:{token}", user_id=7, key_id=token or "")

    monkeypatch.setattr(ports.caller_gate, "_object", TwoKeyGate())
    for key in ("mf_a", "mf_b"):
        asked = named(key=key)
        job = await instance.job()
        instance.say(job, key)
        instance.finish(job)
        assert key in (await asked.end()).json()["choices"][0]["message"]["content"]


@pytest.mark.parametrize("name", ["", "a b", "ä", "x" * 256, "a\tb"])
async def test_a_name_that_is_none_is_refused(router: LiveRouter, name: str) -> None:
    reply = await named(name).end()
    assert (reply.status, reply.error["code"]) == (400, "invalid_request")
    assert reply.error["param"] == "Idempotency-Key"


async def test_two_names_are_refused(router: LiveRouter) -> None:
    headers = ((b"idempotency-key", b"a"), (b"idempotency-key", b"a"))
    body = {"model": "lab/echo", "messages": [{"role": "user", "content": "x"}]}
    reply = await call("POST", "/v1/chat/completions", body, headers=headers).end()
    assert (reply.status, reply.error["param"]) == (400, "Idempotency-Key")


async def test_what_is_kept_is_forgotten_in_time(
    instance: Instance, kept: KeptAnswers, monkeypatch: pytest.MonkeyPatch
) -> None:
    conf_of(monkeypatch, answer_kept_s=0.0)
    asked = named()
    job = await instance.job()
    await steps()
    instance.finish(job)
    assert (await asked.end()).status == 200
    assert kept.chars == 0


async def test_room_is_bounded_and_who_takes_most_gives_up_first(
    instance: Instance, kept: KeptAnswers, monkeypatch: pytest.MonkeyPatch
) -> None:
    class AnyKeyGate(OneKeyGate):
        async def identify(self, token: str | None, *, address: str = "") -> Caller | None:
            return Caller(requester="user:7", user_id=7, key_id=token or "")

    monkeypatch.setattr(ports.caller_gate, "_object", AnyKeyGate())
    conf_of(monkeypatch, kept_most_chars=1000, kept_least_chars=100)

    async def is_replayed(name: str, key: str, answer: str = "") -> bool:
        asked = named(name, key=key)
        await steps()
        if not asked.is_over:
            job = await instance.job()
            instance.say(job, answer)
            instance.finish(job)
        return "idempotent-replayed" in (await asked.end()).headers

    assert not await is_replayed("modest", "mf_modest", "a")
    for n in range(8):
        assert not await is_replayed(f"many-{n}", "mf_greedy", "x" * 100)
        assert kept.chars <= 1000
    assert await is_replayed("modest", "mf_modest")
    assert await is_replayed("many-7", "mf_greedy")
    assert not await is_replayed("many-0", "mf_greedy")
