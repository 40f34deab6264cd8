"""What holds for a request whatever dialect it speaks: limits, scope, repetition, other origins."""

import json
import secrets
from typing import Any

import msgspec
import pytest

from apps.api.rest.endpoints import ENDPOINTS
from apps.router import ports
from apps.router.live.runtime import LiveRouter
from apps.router.ports import Caller, CallRecord
from tests.integration.api.rig import KEY, Call, Instance, OneKeyGate, call

TURN = {"role": "user", "content": "Hello"}
BODIES: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"messages": [TURN]},
    "/v1/completions": {"prompt": "Hello"},
    "/v1/responses": {"input": "Hello"},
    "/v1/messages": {"messages": [TURN], "max_tokens": 9},
}
each_dialect = pytest.mark.parametrize("path", BODIES)


class ScopedGate(OneKeyGate):
    """Knows one key, which may ask twice a minute and for one model."""

    def __init__(self) -> None:
        super().__init__()
        # Another for each gate: what its minute has left is known to more than this test.
        self.key_id = f"scoped-{secrets.token_hex(6)}"

    async def identify(self, token: str | None, *, address: str = "") -> Caller | None:
        """Return the caller with its scope."""
        return Caller(
            requester="user:7",
            user_id=7,
            key_id=self.key_id,
            allowed_models=frozenset({"lab/echo"}),
            requests_per_minute=2,
        )


def ask(path: str, *headers: tuple[bytes, bytes], **parameters: object) -> Call:
    """Begin a request in a path's dialect."""
    return call("POST", path, {"model": "lab/echo", **BODIES[path], **parameters}, headers=headers)


def code_of(reply: Call) -> str:
    """Return an error's code, from where its dialect has it."""
    error = reply.json()["error"]
    return str(error["code"] if "code" in error else error["details"]["error_code"])


@each_dialect
@pytest.mark.parametrize("finish_reason", ["stop", "length"])
async def test_an_answer_and_an_error_are_what_the_schema_says(
    instance: Instance, path: str, finish_reason: str
) -> None:
    [endpoint] = [endpoint for endpoint in ENDPOINTS if endpoint.path == path]
    asked = ask(path)
    job = await instance.job()
    instance.say(job, "Hello")
    instance.finish(job, finish_reason, cached=1)
    msgspec.convert((await asked.end()).json(), endpoint.answer)
    msgspec.convert((await ask(path, model=5).end()).json(), endpoint.error)


@pytest.mark.usefixtures("still_minute")
@each_dialect
async def test_a_key_is_held_to_its_models_and_its_minute(
    instance: Instance, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setattr(ports.caller_gate, "_object", ScopedGate())
    other = await ask(path, model="lab/other").end()
    assert (other.status, code_of(other)) == (403, "model_out_of_scope")
    assert other.headers["x-ratelimit-remaining-requests"] == "1"
    await ask(path, model="lab/other").end()
    third = await ask(path).end()
    assert (third.status, code_of(third)) == (429, "rate_limit_exceeded")
    assert int(third.headers["retry-after"]) > 0


@each_dialect
@pytest.mark.parametrize("is_streamed", [False, True])
async def test_a_request_sent_again_gets_the_same_answer_and_no_job(
    router: LiveRouter, instance: Instance, path: str, is_streamed: bool
) -> None:
    name = (b"idempotency-key", f"{path}{is_streamed}{id(router)}".encode())
    first = ask(path, name, stream=is_streamed)
    job = await instance.job()
    instance.say(job, "Hello")
    instance.finish(job)
    reply = await first.end()
    again = await ask(path, name, stream=is_streamed).end()
    assert again.body == reply.body
    assert again.headers["idempotent-replayed"] == "true"
    gate = ports.caller_gate.get()
    assert isinstance(gate, OneKeyGate)
    assert gate.records == [
        CallRecord(
            key_id=gate.caller.key_id,
            user_id=7,
            model_name="lab/echo",
            prompt_tokens=3,
            completion_tokens=1,
        )
    ]


@each_dialect
async def test_a_page_of_another_origin_may_read_the_answer(
    instance: Instance, settings: Any, path: str
) -> None:
    settings.API_CORS_ORIGINS = ["https://page.example"]
    origin = (b"origin", b"https://page.example")
    asked = ask(path, origin)
    instance.finish(await instance.job())
    reply = await asked.end()
    assert reply.headers["access-control-allow-origin"] == "https://page.example"
    assert "x-motherfluxer-instance" in reply.headers["access-control-expose-headers"]
    preflight = ((b"access-control-request-method", b"POST"), origin)
    before = await call("OPTIONS", path, key=None, headers=preflight).end()
    # The star lets in x-api-key and anthropic-version too.
    assert "*" in before.headers["access-control-allow-headers"]


HOSTILE = {
    "no json": b"{",
    "no object": b"[]",
    "nan": b'{"model": NaN}',
    "lone surrogate": b'{"model": "\\ud800"}',
    "null character": b'{"model": "\\u0000"}',
    "deep": b'{"model": ' + b"[" * 50_000,
    "huge number": b'{"model": 1' + b"0" * 5000 + b"}",
    "not UTF-8": b'{"model": "\xff"}',
    "ten megabytes": b'{"model": "' + b"x" * 10_000_000 + b'"}',
}


@each_dialect
@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE)
async def test_a_hostile_body_is_refused_in_the_dialects_words(
    router: LiveRouter, path: str, body: bytes
) -> None:
    reply = await call("POST", path, body).end()
    assert reply.status in (400, 404, 413)
    assert code_of(reply)
    json.dumps(reply.json())


@each_dialect
async def test_a_key_may_be_borne_as_anthropics_clients_do(instance: Instance, path: str) -> None:
    body = {"model": "lab/echo", **BODIES[path]}
    for key, status in ((KEY, 200), ("mf_other", 401)):
        headers = ((b"x-api-key", key.encode()),)
        asked = call("POST", path, body, key=None, headers=headers)
        if status == 200:
            instance.finish(await instance.job())
        assert (await asked.end()).status == status
