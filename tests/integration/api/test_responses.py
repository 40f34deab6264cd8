"""Responses: the same job as a chat completion's, told in the way of OpenAI's newer clients."""

import dataclasses

import pytest

from apps.api import answering
from apps.api.conf import CONF
from apps.router.live.runtime import LiveRouter
from motherfluxer_wire import frames
from tests.integration.api.rig import Call, Instance, call

PATH = "/v1/responses"
TEXTS = ["Grüße,\n one", "\u2028next\x85 two", "🙂 end"]


def respond(text: str = "Hello", **parameters: object) -> Call:
    """Begin a response."""
    return call("POST", PATH, {"model": "lab/echo", "input": text, **parameters})


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a stream begin without its text, and speak up soon when nothing comes."""
    conf = dataclasses.replace(CONF, start_within_s=0.0, keep_alive_s=0.01)
    monkeypatch.setattr(answering, "CONF", conf)


async def test_a_question_is_answered_whole(instance: Instance) -> None:
    asked = respond(instructions="Be kind.", max_output_tokens=9, temperature=0)
    job = await instance.job()
    assert job.messages == [
        frames.Message("system", "Be kind."),
        frames.Message("user", "Hello"),
    ]
    assert (job.sampling.max_tokens, job.sampling.temperature) == (9, 0.0)
    instance.say(job, "Hel", "lo")
    instance.finish(job, cached=2)
    reply = await asked.end()
    body = reply.json()
    assert reply.status == 200
    assert (body["id"], body["status"], body["model"]) == (
        f"resp_{job.job}",
        "completed",
        "lab/echo",
    )
    [item] = body["output"]
    assert (item["id"], item["status"]) == (f"msg_{job.job}", "completed")
    assert [part["text"] for part in item["content"]] == ["Hello"]
    assert body["usage"]["total_tokens"] == 5
    assert body["usage"]["input_tokens_details"]["cached_tokens"] == 2
    assert reply.headers["x-motherfluxer-instance"] == "one"
    assert reply.headers["x-request-id"]


async def test_a_stream_is_told_event_by_event(instance: Instance) -> None:
    asked = respond(stream=True)
    job = await instance.job()
    for text in TEXTS:
        instance.say(job, text)
        await asked.body_holding(text[-3:].encode())
    instance.finish(job, "length")
    reply = await asked.end()
    assert reply.headers["content-type"] == "text/event-stream; charset=utf-8"
    events = reply.events
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert [event["type"] for event in events] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        *["response.output_text.delta"] * len(TEXTS),
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.incomplete",
    ]
    assert "".join(event["delta"] for event in events if "delta" in event) == "".join(TEXTS)
    response = events[-1]["response"]
    assert response["incomplete_details"] == {"reason": "max_output_tokens"}
    assert response["output"][0]["content"][0]["text"] == "".join(TEXTS)
    assert response["usage"]["output_tokens"] == len(TEXTS)


@pytest.mark.usefixtures("impatient")
async def test_a_stream_that_waits_has_begun_and_is_kept_alive(instance: Instance) -> None:
    first = respond("first")
    job = await instance.job()
    second = respond("second", stream=True)
    await second.body_holding(b"\n\n: keep-alive\n\n: keep-alive")
    assert [event["type"] for event in second.events] == [
        "response.created",
        "response.in_progress",
    ]
    instance.finish(job)
    await first.end()
    job = await instance.job()
    instance.say(job, "now")
    instance.finish(job)
    events = (await second.end()).events
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert events[-1]["type"] == "response.completed"
    assert events[-1]["response"]["id"] == events[0]["response"]["id"]


@pytest.mark.usefixtures("impatient")
async def test_a_stream_that_fails_in_the_queue_ends_with_its_error(
    instance: Instance, router: LiveRouter
) -> None:
    respond("first")
    await instance.job()
    second = respond("second", stream=True)
    await second.body_holding(b": keep-alive")
    await router.drain(0)
    reply = await second.end()
    failed, error = reply.events[-2:]
    assert failed["response"]["error"]["code"] == "shutting_down"
    assert (error["type"], error["code"]) == ("error", "shutting_down")


async def test_a_stream_that_breaks_off_ends_with_its_error(instance: Instance) -> None:
    asked = respond(stream=True)
    job = await instance.job()
    instance.say(job, "Hel")
    await asked.body_holding(b"Hel")
    instance.fail(job, "bad_request")
    failed, error = (await asked.end()).events[-2:]
    assert failed["type"] == "response.failed"
    assert error["error"]["code"] == "refused_by_instance"


@pytest.mark.parametrize("is_streamed", [False, True])
async def test_a_refusal_has_its_status(instance: Instance, is_streamed: bool) -> None:
    asked = respond(stream=is_streamed)
    instance.fail(await instance.job(), "context_overflow")
    reply = await asked.end()
    assert (reply.status, reply.error["code"]) == (400, "context_length_exceeded")


async def test_what_is_not_supported_is_named(instance: Instance) -> None:
    reply = await respond(store=True).end()
    assert (reply.status, reply.error["param"]) == (400, "store")


async def test_nothing_is_stored_to_be_read_again(router: LiveRouter) -> None:
    reply = await call("GET", f"{PATH}/resp_1").end()
    assert (reply.status, reply.error["code"]) == (404, "not_found")


async def test_hanging_up_stops_the_job(instance: Instance) -> None:
    asked = respond(stream=True)
    job = await instance.job()
    asked.hang_up()
    assert (await instance.frame(frames.Cancel)).job == job.job
    await asked.end()
