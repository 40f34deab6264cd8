"""Chat completions that are answered whole, and everything that is refused."""

import asyncio
import dataclasses
from typing import Any

import pytest

from apps.api import asgi
from apps.router import ports
from apps.router.live.runtime import LiveRouter
from apps.router.services import job_cancel
from motherfluxer_wire import frames
from tests.integration.api.rig import Instance, call, chat, queued

CHAT = "/v1/chat/completions"


async def test_answer_is_a_chat_completion(instance: Instance) -> None:
    asked = chat("Hello", temperature=0, max_tokens=9, stop="x", seed=5)
    job = await instance.job()
    assert job.messages == [frames.Message("user", "Hello")]
    assert job.sampling == frames.Sampling(max_tokens=9, temperature=0.0, stop=["x"], seed=5)
    assert job.service_class == "registered"
    instance.say(job, "Hel", "lo")
    instance.finish(job, "length", cached=2)
    reply = await asked.end()
    body = reply.json()
    assert reply.status == 200
    assert body["id"] == f"chatcmpl-{job.job}"
    assert (body["object"], body["model"]) == ("chat.completion", "lab/echo")
    [choice] = body["choices"]
    assert choice["message"] == {"role": "assistant", "content": "Hello", "refusal": None}
    assert choice["finish_reason"] == "length"
    assert body["usage"] == {
        "prompt_tokens": 3,
        "completion_tokens": 2,
        "total_tokens": 5,
        "prompt_tokens_details": {"cached_tokens": 2},
    }


async def test_headers_say_who_answered(instance: Instance) -> None:
    asked = chat()
    job = await instance.job()
    instance.finish(job)
    headers = (await asked.end()).headers
    assert headers["x-motherfluxer-instance"] == "one"
    assert headers["x-motherfluxer-attempts"] == "1"
    decision = f"http://localhost:8000/transparency/decisions/{job.job}"
    assert headers["x-motherfluxer-decision"] == decision
    assert headers["cache-control"] == "no-store"
    assert headers["x-request-id"]


async def test_foreign_host_gets_no_address_of_its_making(instance: Instance) -> None:
    messages = [{"role": "user", "content": "Hello"}]
    asked = call("POST", CHAT, {"model": "lab/echo", "messages": messages}, host="evil.example")
    job = await instance.job()
    instance.finish(job)
    decision = (await asked.end()).headers["x-motherfluxer-decision"]
    assert decision == f"/transparency/decisions/{job.job}"


async def test_answer_survives_its_instance(instance: Instance, router: LiveRouter) -> None:
    asked = chat()
    job = await instance.job()
    instance.say(job, "one ", "two ")
    instance.leave()
    second = Instance(router, "two")
    job = await second.job()
    assert job.prefix == "one two "
    second.say(job, "three")
    second.finish(job)
    reply = await asked.end()
    assert reply.json()["choices"][0]["message"]["content"] == "one two three"
    assert reply.json()["usage"]["completion_tokens"] == 3
    assert reply.headers["x-motherfluxer-instance"] == "two"
    assert reply.headers["x-motherfluxer-attempts"] == "2"


@pytest.mark.parametrize("is_streamed", [False, True])
async def test_client_that_hangs_up_stops_the_job(
    instance: Instance, is_streamed: bool, caplog: pytest.LogCaptureFixture
) -> None:
    asked = chat(stream=is_streamed)
    job = await instance.job()
    instance.say(job, "some")
    asked.hang_up()
    cancel = await instance.frame(frames.Cancel)
    assert cancel.job == job.job
    await asked.end()
    [line] = [vars(record) for record in caplog.records if record.name == "apps.api.asgi"]
    assert (line["status"], line["job"], line["instance"]) == (499, job.job, "one")
    assert "error" not in line
    assert "some" not in str(line)


@pytest.mark.parametrize("is_streamed", [False, True])
async def test_client_that_hangs_up_in_the_queue_leaves_it(
    instance: Instance, router: LiveRouter, is_streamed: bool
) -> None:
    first = chat("first")
    job = await instance.job()
    second = chat("second", stream=is_streamed)
    await queued(router, 1)
    second.hang_up()
    await second.end()
    assert not len(router.service.state.queue)
    instance.finish(job)
    assert (await first.end()).status == 200


async def test_cancelled_request_stops_the_job(instance: Instance) -> None:
    asked = chat()
    job = await instance.job()
    assert asked.task is not None
    asked.task.cancel()
    assert (await instance.frame(frames.Cancel)).job == job.job
    with pytest.raises(asyncio.CancelledError):
        await asked.task


@pytest.mark.parametrize("is_streamed", [False, True])
@pytest.mark.parametrize(
    ("failure", "status", "code", "param"),
    [
        ("context_overflow", 400, "context_length_exceeded", "messages"),
        ("bad_request", 400, "refused_by_instance", None),
        ("engine_error", 502, "instances_failed", None),
    ],
)
async def test_refusal_by_the_instance_has_its_status(
    instance: Instance, is_streamed: bool, failure: str, status: int, code: str, param: str | None
) -> None:
    asked = chat(stream=is_streamed)
    instance.fail(await instance.job(), failure)
    reply = await asked.end()
    assert reply.status == status
    assert (reply.error["code"], reply.error["param"]) == (code, param)
    assert "x-motherfluxer-decision" in reply.headers


@pytest.mark.parametrize("is_streamed", [False, True])
async def test_answer_stopped_by_somebody_else_is_no_success(
    instance: Instance, is_streamed: bool
) -> None:
    asked = chat(stream=is_streamed)
    job_cancel(job_id=(await instance.job()).job, reason="by hand")
    reply = await asked.end()
    assert (reply.status, reply.error["code"]) == (502, "answer_interrupted")


async def test_unknown_model_is_not_found(instance: Instance) -> None:
    for name in ("no-such", "no such model", "x" * 5000):
        reply = await chat(model=name).end()
        assert (reply.status, reply.error["code"]) == (404, "model_not_found")
        assert reply.error["param"] == "model"


async def test_known_model_without_an_instance_says_when_to_retry(instance: Instance) -> None:
    instance.leave()
    for is_streamed in (False, True):
        reply = await chat(stream=is_streamed).end()
        assert (reply.status, reply.error["code"]) == (503, "no_instance")
        assert int(reply.headers["retry-after"]) > 0


async def test_full_queue_says_when_to_retry(instance: Instance, router: LiveRouter) -> None:
    state, bound = router.service.state, 20
    state.settings = dataclasses.replace(state.settings, max_queued_per_class=bound)
    asked = [chat() for _ in range(bound + 1)]
    job = await instance.job()
    await queued(router, bound)
    for is_streamed in (False, True):
        reply = await chat(stream=is_streamed).end()
        assert (reply.status, reply.error["code"]) == (429, "queue_full")
        assert int(reply.headers["retry-after"]) > 0
    for waiting in asked:
        waiting.hang_up()
    assert (await instance.frame(frames.Cancel)).job == job.job
    await asyncio.gather(*(waiting.end() for waiting in asked))


@pytest.mark.parametrize(
    ("method", "path", "status", "allow"),
    [
        ("GET", CHAT, 405, "POST, OPTIONS"),
        ("HEAD", CHAT, 405, "POST, OPTIONS"),
        ("DELETE", "/v1/models", 405, "GET, HEAD, OPTIONS"),
        ("OPTIONS", CHAT, 204, "POST, OPTIONS"),
    ],
)
async def test_wrong_method_is_told_the_right_ones(
    method: str, path: str, status: int, allow: str
) -> None:
    reply = await call(method, path, key=None).end()
    assert (reply.status, reply.headers["allow"]) == (status, allow)


@pytest.mark.parametrize("path", ["/v1/", "/v1/complete", "/v1/chat", "/v1/modelsx"])
async def test_unknown_path_is_not_found(path: str) -> None:
    reply = await call("POST", path).end()
    assert (reply.status, reply.error["code"]) == (404, "not_found")


@pytest.mark.parametrize("key", [None, "", "mf_other", "\xff"])
async def test_wrong_key_is_refused(router: LiveRouter, key: str | None) -> None:
    reply = await call("GET", "/v1/models", key=key).end()
    assert (reply.status, reply.error["code"]) == (401, "invalid_api_key")
    assert reply.headers["www-authenticate"].startswith("Bearer")


async def test_no_gate_refuses_every_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports.caller_gate, "_object", None)
    assert (await call("GET", "/v1/models").end()).status == 401


async def test_large_body_is_refused(router: LiveRouter) -> None:
    announced = call("POST", CHAT, headers=((b"content-length", b"9" * 5000),))
    assert (await announced.end()).error["code"] == "request_too_large"
    sent = await chat("x" * 1024 * 1024).end()
    assert (sent.status, sent.error["code"]) == (413, "request_too_large")


@pytest.mark.parametrize("encodings", [[b"gzip"], [b"identity"], [b"gzip", b"br"]])
async def test_compressed_body_is_refused(router: LiveRouter, encodings: list[bytes]) -> None:
    headers = tuple((b"content-encoding", encoding) for encoding in encodings)
    reply = await call("POST", CHAT, b"{}", headers=headers).end()
    assert (reply.status, reply.error["code"]) == (415, "unsupported_encoding")


async def test_conversation_that_fits_no_frame_is_refused(instance: Instance) -> None:
    reply = await chat("x" * 1000 * 1024).end()
    assert (reply.status, reply.error["code"]) == (413, "request_too_large")


async def test_fault_of_ours_tells_nothing_but_the_request(
    router: LiveRouter, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: Any) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr(asgi, "models_list", broken)
    reply = await call("GET", "/v1/models").end()
    assert reply.status == 500
    assert reply.error["code"] == "internal_error"
    assert reply.headers["x-request-id"] in reply.error["message"]
    assert b"secret" not in reply.body


async def test_models_are_listed_and_shown(instance: Instance) -> None:
    listed = (await call("GET", "/v1/models").end()).json()
    [model] = listed["data"]
    assert (listed["object"], model["id"], model["object"]) == ("list", "lab/echo", "model")
    assert (model["owned_by"], model["context_tokens"]) == ("motherfluxer", 100)
    assert (await call("GET", "/v1/models/lab/echo").end()).json() == model
    head = await call("HEAD", "/v1/models").end()
    assert (head.status, head.body) == (200, b"")
    missing = await call("GET", "/v1/models/lab/none").end()
    assert (missing.status, missing.error["code"]) == (404, "model_not_found")


@pytest.mark.parametrize("ends", ["fail", "leave", "cancel"])
async def test_all_tokens_of_an_attempt_without_an_answer_are_charged(
    router: LiveRouter, instance: Instance, ends: str
) -> None:
    asked = chat("Hello")
    job = await instance.job()
    instance.say(job, *"abcdef")  # within a second: the router heard of the first one only
    known = router.service.state.jobs[job.job]
    assert known.running is not None
    assert known.running.tokens == 1
    if ends == "fail":
        instance.fail(job, "engine_error")
    elif ends == "leave":
        instance.leave()
    else:
        job_cancel(job_id=job.job, reason="enough")
    assert known.given_tokens == 6
    job_cancel(job_id=job.job, reason="enough")
    await asked.end()
