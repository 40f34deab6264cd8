"""Completions as they were before chats: whole, and streamed."""

import pytest

from motherfluxer_wire import frames
from tests.integration.api.rig import Call, Instance, call


def complete(prompt: object = "Hello", **parameters: object) -> Call:
    """Begin a completion."""
    return call("POST", "/v1/completions", {"model": "lab/echo", "prompt": prompt, **parameters})


async def test_answer_is_a_text_completion(instance: Instance) -> None:
    asked = complete(["Hello"], max_tokens=9)
    job = await instance.job()
    assert job.messages == [frames.Message("user", "Hello")]
    assert job.sampling == frames.Sampling(max_tokens=9, seed=job.sampling.seed)
    instance.say(job, "Hel", "lo")
    instance.finish(job, "length")
    reply = await asked.end()
    assert reply.status == 200
    assert reply.headers["x-motherfluxer-instance"] == "one"
    body = reply.json()
    assert (body["id"], body["object"]) == (f"cmpl-{job.job}", "text_completion")
    [choice] = body["choices"]
    assert choice == {"index": 0, "text": "Hello", "logprobs": None, "finish_reason": "length"}
    assert body["usage"] == {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


@pytest.mark.parametrize("includes_usage", [False, True])
async def test_pieces_of_a_stream_are_the_answer(instance: Instance, includes_usage: bool) -> None:
    asked = complete(stream=True, stream_options={"include_usage": includes_usage})
    job = await instance.job()
    for text in ("Grüße,\n", "\u2028next ", "🙂"):
        instance.say(job, text)
    instance.finish(job)
    reply = await asked.end()
    *events, done = reply.events
    assert done == "[DONE]"
    if includes_usage:
        usage = events.pop()
        assert (usage["choices"], usage["usage"]["total_tokens"]) == ([], 6)
        assert all(event["usage"] is None for event in events)
    else:
        assert all("usage" not in event for event in events)
    texts = [event["choices"][0]["text"] for event in events]
    assert "".join(texts) == "Grüße,\n\u2028next 🙂"
    assert [event["choices"][0]["finish_reason"] for event in events][-1] == "stop"
    assert {(event["id"], event["object"]) for event in events} == {
        (f"cmpl-{job.job}", "text_completion")
    }
    assert reply.body.decode().splitlines() == reply.body.decode().split("\n")[:-1]


async def test_an_error_has_its_status_before_the_stream_and_its_event_within(
    instance: Instance,
) -> None:
    refused = complete(stream=True)
    instance.fail(await instance.job(), "bad_request")
    assert (await refused.end()).error["code"] == "refused_by_instance"
    broken = complete(stream=True)
    job = await instance.job()
    instance.say(job, "Hel")
    await broken.body_holding(b"Hel")
    instance.fail(job, "bad_request")
    assert (await broken.end()).events[-1]["error"]["code"] == "refused_by_instance"
