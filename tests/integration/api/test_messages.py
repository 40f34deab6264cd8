"""Messages: the same job as a chat completion's, told in the way of Anthropic's clients."""

import dataclasses
from typing import Any

import pytest

from apps.api import answering
from apps.api.conf import CONF
from apps.router.live.runtime import LiveRouter
from motherfluxer_wire import frames
from tests.integration.api.rig import KEY, Call, Instance, call

PATH = "/v1/messages"
TURN = {"role": "user", "content": "Hello"}
TEXTS = ["Grüße,\n one", "\u2028next\x85 two", "🙂 end"]


def message(*turns: dict[str, Any], key: str | None = KEY, **parameters: object) -> Call:
    """Begin a message; its key is borne as Anthropic's clients do."""
    body = {"model": "lab/echo", "max_tokens": 9, "messages": turns or [TURN], **parameters}
    headers = ((b"x-api-key", key.encode()),) if key else ()
    return call("POST", PATH, body, key=None, headers=(*headers, (b"anthropic-version", b"1")))


def error_of(reply: Call) -> dict[str, Any]:
    """Return the error in a reply whose form is checked."""
    body = reply.json()
    assert set(body) == {"type", "error", "request_id"}
    assert body["type"] == "error"
    assert body["request_id"] == reply.headers["request-id"] == reply.headers["x-request-id"]
    assert set(body["error"]) == {"type", "message", "details"}
    return dict(body["error"])


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a stream begin without its text, and speak up soon when nothing comes."""
    conf = dataclasses.replace(CONF, start_within_s=0.0, keep_alive_s=0.01)
    monkeypatch.setattr(answering, "CONF", conf)


async def test_a_question_is_answered_whole(instance: Instance) -> None:
    asked = message(system="Be kind.", temperature=0, stop_sequences=["x"])
    job = await instance.job()
    assert job.messages == [
        frames.Message("system", "Be kind."),
        frames.Message("user", "Hello"),
    ]
    assert job.sampling == frames.Sampling(
        max_tokens=9, temperature=0.0, stop=["x"], seed=job.sampling.seed
    )
    assert job.service_class == "registered"
    instance.say(job, "Hel", "lo")
    instance.finish(job, cached=2)
    reply = await asked.end()
    assert reply.status == 200
    assert reply.json() == {
        "id": f"msg_{job.job}",
        "type": "message",
        "role": "assistant",
        "model": "lab/echo",
        "content": [{"type": "text", "text": "Hello"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {
            "input_tokens": 1,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 2,
            "output_tokens": 2,
        },
    }
    assert reply.headers["x-motherfluxer-instance"] == "one"
    assert reply.headers["request-id"] == reply.headers["x-request-id"]


async def test_a_stream_is_told_event_by_event(instance: Instance) -> None:
    asked = message(stream=True)
    job = await instance.job()
    for text in TEXTS:
        instance.say(job, text)
        await asked.body_holding(text[-3:].encode())
    instance.finish(job, "length")
    reply = await asked.end()
    assert reply.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert reply.headers["request-id"]
    events = reply.events
    assert [event["type"] for event in events] == [
        "message_start",
        "content_block_start",
        *["content_block_delta"] * len(TEXTS),
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    deltas = [event["delta"]["text"] for event in events if "content_block_delta" in event["type"]]
    assert "".join(deltas) == "".join(TEXTS)
    assert events[-2]["delta"]["stop_reason"] == "max_tokens"
    assert events[-2]["usage"]["output_tokens"] == len(TEXTS)


@pytest.mark.parametrize("is_streamed", [False, True])
async def test_an_answer_goes_on_from_its_beginning_and_leaves_it_out(
    instance: Instance, router: LiveRouter, is_streamed: bool
) -> None:
    beginning = {"role": "assistant", "content": "One two"}
    asked = message(TURN, beginning, stream=is_streamed)
    job = await instance.job()
    assert job.messages == [frames.Message("user", "Hello")]
    assert job.prefix == "One two"
    instance.say(job, " three")
    instance.leave()
    second = Instance(router, "two")
    job = await second.job()
    assert job.prefix == "One two three"
    second.say(job, " four")
    second.finish(job)
    reply = await asked.end()
    if is_streamed:
        deltas = [e["delta"] for e in reply.events if e["type"] == "content_block_delta"]
        text = "".join(delta["text"] for delta in deltas)
    else:
        text = reply.json()["content"][0]["text"]
    assert text == " three four"


@pytest.mark.parametrize("is_streamed", [False, True])
async def test_a_beginning_needs_an_instance_that_can_go_on(
    instance: Instance, router: LiveRouter, is_streamed: bool
) -> None:
    plain = frames.Model("lab/echo", 100, 50, capabilities=["chat"])
    router.gateway.frame_received(frames.ModelsChanged([plain], 1), instance.link)
    reply = await message(TURN, {"role": "assistant", "content": "One"}, stream=is_streamed).end()
    assert (reply.status, error_of(reply)["type"]) == (502, "api_error")
    assert "go on" in error_of(reply)["message"]


@pytest.mark.parametrize("is_streamed", [False, True])
async def test_a_beginning_that_nothing_follows_is_no_answer_yet(
    instance: Instance, is_streamed: bool
) -> None:
    asked = message(TURN, {"role": "assistant", "content": "One"}, stream=is_streamed)
    instance.fail(await instance.job(), "bad_request")
    reply = await asked.end()
    assert (reply.status, error_of(reply)["type"]) == (400, "invalid_request_error")


@pytest.mark.usefixtures("impatient")
async def test_a_stream_that_waits_has_begun_and_is_pinged(instance: Instance) -> None:
    first = message()
    job = await instance.job()
    second = message(stream=True)
    ping = b'event: ping\ndata: {"type":"ping"}\n\n'
    await second.body_holding(ping * 3)
    instance.finish(job)
    await first.end()
    job = await instance.job()
    instance.say(job, "now")
    instance.finish(job)
    events = [event for event in (await second.end()).events if event["type"] != "ping"]
    assert [event["type"] for event in events] == [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]


@pytest.mark.usefixtures("impatient")
async def test_a_stream_that_fails_in_the_queue_ends_with_its_error(
    instance: Instance, router: LiveRouter
) -> None:
    message()
    await instance.job()
    second = message(stream=True)
    await second.body_holding(b"ping")
    await router.drain(0)
    reply = await second.end()
    error = reply.events[-1]
    assert b"event: error\n" in reply.body
    assert (error["type"], error["error"]["type"]) == ("error", "overloaded_error")
    assert error["error"]["details"]["error_code"] == "shutting_down"
    assert error["request_id"] == reply.headers["request-id"]


@pytest.mark.parametrize(
    ("parameters", "status", "kind", "code"),
    [
        ({"model": "no-such"}, 404, "not_found_error", "model_not_found"),
        ({"top_k": 5}, 400, "invalid_request_error", "unsupported_parameter"),
        ({"max_tokens": None}, 400, "invalid_request_error", "invalid_request"),
        ({"key": None}, 401, "authentication_error", "invalid_api_key"),
        ({"key": "mf_other"}, 401, "authentication_error", "invalid_api_key"),
        ({"system": "x" * 1024 * 1024}, 413, "request_too_large", "request_too_large"),
    ],
)
async def test_an_error_has_anthropics_form(
    instance: Instance, parameters: dict[str, Any], status: int, kind: str, code: str
) -> None:
    reply = await message(**parameters).end()
    error = error_of(reply)
    assert (reply.status, error["type"], error["details"]["error_code"]) == (status, kind, code)


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", PATH, 405, "method_not_allowed"),
        ("POST", f"{PATH}/count_tokens", 404, "not_found"),
        ("POST", f"{PATH}/batches", 404, "not_found"),
    ],
)
async def test_what_there_is_not_is_said_in_anthropics_form(
    router: LiveRouter, method: str, path: str, status: int, code: str
) -> None:
    reply = await call(method, path, {}).end()
    error = error_of(reply)
    assert (reply.status, error["details"]["error_code"]) == (status, code)


async def test_no_instance_says_when_to_retry(instance: Instance) -> None:
    instance.leave()
    reply = await message().end()
    assert (reply.status, error_of(reply)["type"]) == (503, "overloaded_error")
    assert int(reply.headers["retry-after"]) > 0


async def test_a_key_may_stand_where_openais_clients_put_it(instance: Instance) -> None:
    asked = call("POST", PATH, {"model": "lab/echo", "max_tokens": 9, "messages": [TURN]})
    instance.finish(await instance.job())
    assert (await asked.end()).status == 200


async def test_hanging_up_stops_the_job(instance: Instance) -> None:
    asked = message(stream=True)
    job = await instance.job()
    asked.hang_up()
    assert (await instance.frame(frames.Cancel)).job == job.job
    await asked.end()
