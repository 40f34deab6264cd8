"""Chat completions that are streamed."""

import dataclasses
from typing import Any

import pytest

from apps.api import answering
from apps.api.conf import CONF
from apps.api.dialects.chat_answers import ChatEventWriter
from apps.router.live.runtime import LiveRouter
from tests.integration.api.rig import Instance, call, chat, queued

TEXTS = ["Grüße,\n", "\u2028next\x85 ", '"quoted"\\ ', "🙂", "\t\x0b end"]


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a stream begin without its text, and speak up soon when nothing comes."""
    conf = dataclasses.replace(CONF, start_within_s=0.0, keep_alive_s=0.01)
    monkeypatch.setattr(answering, "CONF", conf)


async def test_stream_is_chunks_then_done(instance: Instance) -> None:
    asked = chat(stream=True, stream_options={"include_usage": True})
    job = await instance.job()
    for text in TEXTS:
        instance.say(job, text)
        await asked.body_holding(b"content")
    instance.finish(job)
    reply = await asked.end()
    assert reply.status == 200
    assert reply.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert reply.headers["x-accel-buffering"] == "no"
    assert reply.headers["x-motherfluxer-instance"] == "one"
    first, *pieces, last, usage, done = reply.events
    assert first["choices"][0]["delta"]["role"] == "assistant"
    assert "".join(p["choices"][0]["delta"]["content"] for p in pieces) == "".join(TEXTS)
    assert last["choices"][0]["finish_reason"] == "stop"
    assert last["choices"][0]["delta"] == {}
    assert usage["choices"] == []
    assert usage["usage"]["total_tokens"] == 3 + len(TEXTS)
    assert done == "[DONE]"
    chunks: list[Any] = [first, *pieces, last]
    assert all(chunk["usage"] is None for chunk in chunks)
    shared = {(c["id"], c["object"], c["created"], c["model"]) for c in [*chunks, usage]}
    assert len(shared) == 1


async def test_no_line_of_a_stream_is_cut_by_a_character(instance: Instance) -> None:
    asked = chat(stream=True)
    job = await instance.job()
    instance.say(job, *TEXTS)
    instance.finish(job)
    text = (await asked.end()).body.decode()
    assert text.splitlines() == text.split("\n")[:-1]


async def test_usage_is_left_out_unless_asked_for(instance: Instance) -> None:
    asked = chat(stream=True)
    job = await instance.job()
    instance.say(job, "a")
    instance.finish(job)
    *chunks, done = (await asked.end()).events
    assert done == "[DONE]"
    assert all("usage" not in chunk for chunk in chunks)


async def test_answer_without_text_is_a_whole_stream(instance: Instance) -> None:
    asked = chat(stream=True)
    instance.finish(await instance.job())
    first, last, done = (await asked.end()).events
    assert first["choices"][0]["delta"]["role"] == "assistant"
    assert last["choices"][0]["finish_reason"] == "stop"
    assert done == "[DONE]"


async def test_error_after_the_beginning_is_an_event_and_the_end(
    instance: Instance, router: LiveRouter
) -> None:
    asked = chat(stream=True)
    job = await instance.job()
    instance.say(job, "Hel")
    await asked.body_holding(b"Hel")
    instance.fail(job, "bad_request")
    reply = await asked.end()
    assert reply.status == 200
    assert reply.events[-1]["error"]["code"] == "refused_by_instance"
    assert b"event: error\n" in reply.body
    assert b"[DONE]" not in reply.body


@pytest.mark.usefixtures("impatient")
async def test_waiting_stream_is_kept_alive(instance: Instance) -> None:
    first = chat("first")
    job = await instance.job()
    second = chat("second", stream=True)
    await second.body_holding(b": keep-alive\n\n: keep-alive\n\n")
    assert second.status == 200
    assert "x-motherfluxer-instance" not in second.headers
    instance.finish(job)
    await first.end()
    job = await instance.job()
    instance.say(job, "now")
    await second.body_holding(b"now")
    shown = len(second.body)
    await second.body_holding(b"now" + second.body.partition(b"now")[2] + b": keep-alive")
    assert len(second.body) > shown
    instance.finish(job)
    reply = await second.end()
    assert [c["choices"][0]["delta"].get("content") for c in reply.events[:-1]] == ["", "now", None]


@pytest.mark.usefixtures("impatient")
async def test_error_in_the_queue_after_the_beginning_is_an_event(
    instance: Instance, router: LiveRouter
) -> None:
    chat("first")
    await instance.job()
    second = chat("second", stream=True)
    await second.body_holding(b": keep-alive")
    await router.drain(0)
    reply = await second.end()
    assert reply.events[-1]["error"]["code"] == "shutting_down"


async def test_refusal_that_comes_soon_keeps_its_status_though_the_request_waited(
    instance: Instance, router: LiveRouter
) -> None:
    chat("first")
    await instance.job()
    second = chat("second", stream=True)
    await queued(router, 1)
    await router.drain(0)
    reply = await second.end()
    assert (reply.status, reply.error["code"]) == (503, "shutting_down")


async def test_fault_of_ours_in_a_stream_ends_it_with_an_event(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> bytes:
        raise RuntimeError("secret")

    monkeypatch.setattr(ChatEventWriter, "ending", broken)
    asked = chat(stream=True)
    job = await instance.job()
    instance.say(job, "Hel")
    instance.finish(job)
    reply = await asked.end()
    assert reply.events[-1]["error"]["code"] == "internal_error"
    assert b"secret" not in reply.body


async def test_body_cut_off_by_the_client_is_no_request(router: LiveRouter) -> None:
    asked = call("POST", "/v1/chat/completions")
    asked.inbox.get_nowait()
    asked.hang_up()
    assert (await asked.end()).status == 0


@pytest.mark.parametrize("is_streamed", [True, False])
async def test_answer_that_has_moved_away_has_broken_off(
    router: LiveRouter, instance: Instance, *, is_streamed: bool
) -> None:
    asked = chat(stream=is_streamed)
    job = await instance.job()
    instance.say(job, "One")
    if is_streamed:
        await asked.body_holding(b"One")
    router.gateway.streams[job.job].move_away()
    reply = await asked.end()
    error = reply.events[-1]["error"] if is_streamed else reply.error
    assert error["code"] == "answer_interrupted"
