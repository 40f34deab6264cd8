"""Whatever body comes, in whatever dialect: a refusal with its code, never a fault of ours."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.router.live.runtime import LiveRouter
from tests.integration.api.rig import call

PATHS = ("/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages")
NAMES = (
    *("model", "messages", "prompt", "input", "instructions", "system", "stream", "stop", "n"),
    *("stream_options", "stop_sequences", "max_tokens", "temperature", "seed", "metadata", "tools"),
    *("response_format", "thinking", "reasoning", "text", "include", "logit_bias", "user"),
)

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text() | st.sampled_from(NAMES), inner, max_size=4)
        | st.fixed_dictionaries({"role": st.just("user"), "content": inner})
        | st.fixed_dictionaries({"type": st.just("text"), "text": inner})
    ),
    max_leaves=16,
)
bodies = st.binary(max_size=64) | st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(NAMES, anything) | {"model": st.just("no-such-model") | anything},
).map(lambda found: json.dumps(found).encode("utf-8", "surrogatepass"))


@pytest.mark.parametrize("path", PATHS)
@given(body=bodies, name=st.none() | st.binary(max_size=8))
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_whatever_comes_is_refused_with_its_code(
    router: LiveRouter, path: str, body: bytes, name: bytes | None
) -> None:
    headers = ((b"idempotency-key", name),) if name is not None else ()
    reply = await call("POST", path, body, headers=headers).end()
    assert reply.status in (400, 404, 413)
    found: Any = reply.json()
    assert found["error"]["message"]
    assert found["error"]["type"]
