"""What a message's body may hold, as tables; and that nothing else gets through."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.api.dialects.messages import (
    NEUTRAL,
    MessagesBody,
    TextBlock,
    messages_question_read,
)
from apps.api.errors import ApiError
from motherfluxer_wire.codec import encode
from motherfluxer_wire.frames import Job, Message, Sampling

TURN: dict[str, Any] = {"role": "user", "content": "Hello"}
BASE: dict[str, Any] = {"model": "m", "max_tokens": 9, "messages": [TURN]}
BLOCK: dict[str, Any] = {"type": "text", "text": "Hello"}
CACHED = {"type": "ephemeral", "ttl": "1h"}


def parse(**parameters: object) -> Any:
    return messages_question_read(json.dumps({**BASE, **parameters}).encode())


def refusal(**parameters: object) -> tuple[str, str | None]:
    with pytest.raises(ApiError) as refused:
        parse(**parameters)
    return refused.value.code.value, refused.value.param


def test_smallest_request_leaves_all_but_the_length_to_the_instance() -> None:
    asked = parse()
    assert asked.messages == (Message("user", "Hello"),)
    assert asked.sampling == Sampling(max_tokens=9)
    assert (asked.model, asked.is_streamed, asked.beginning) == ("m", False, "")


def test_what_is_understood_is_honoured() -> None:
    asked = parse(
        system="Be kind.",
        stop_sequences=["end"],
        temperature=1,
        top_p=0.5,
        stream=True,
        metadata={"user_id": "u"},
    )
    assert asked.messages == (Message("system", "Be kind."), Message("user", "Hello"))
    assert asked.sampling == Sampling(max_tokens=9, temperature=1, top_p=0.5, stop=["end"])
    assert asked.is_streamed


def test_blocks_are_joined_and_hints_at_what_comes_again_are_taken() -> None:
    blocks = [{**BLOCK, "cache_control": CACHED}, {**BLOCK, "text": " there", "citations": None}]
    asked = parse(
        system=[{**BLOCK, "text": "Be kind.", "cache_control": {"type": "ephemeral"}}],
        messages=[
            {"role": "user", "content": blocks},
            {"role": "assistant", "content": [{**BLOCK, "text": "Hi."}]},
            {"role": "system", "content": "Be brief."},
            TURN,
        ],
        cache_control=CACHED,
    )
    assert asked.messages == (
        Message("system", "Be kind."),
        Message("user", "Hello there"),
        Message("assistant", "Hi."),
        Message("system", "Be brief."),
        Message("user", "Hello"),
    )


def test_a_last_turn_of_the_assistant_is_the_answers_beginning() -> None:
    asked = parse(messages=[TURN, {"role": "assistant", "content": "The answer is"}])
    assert asked.messages == (Message("user", "Hello"),)
    assert asked.beginning == "The answer is"


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in NEUTRAL.items() for value in values]
)
def test_what_changes_nothing_may_be_said(name: str, value: object) -> None:
    assert parse(**{name: value}) == parse() == parse(**{name: None})


def assistant(text: str) -> dict[str, Any]:
    return {"role": "assistant", "content": text}


INVALID: list[tuple[dict[str, object], str]] = [
    ({"model": 5}, "model"),
    ({"model": None}, "model"),
    ({"max_tokens": None}, "max_tokens"),
    ({"max_tokens": 0}, "max_tokens"),
    ({"max_tokens": 1.5}, "max_tokens"),
    ({"messages": None}, "messages"),
    ({"messages": []}, "messages"),
    ({"messages": ["Hello"]}, "messages[0]"),
    ({"messages": [{"role": "user"}]}, "messages[0].content"),
    ({"messages": [{**TURN, "role": "tool"}]}, "messages[0].role"),
    ({"messages": [TURN, {**TURN, "content": ""}]}, "messages[1].content"),
    ({"messages": [{**TURN, "content": []}]}, "messages[0].content"),
    ({"messages": [{**TURN, "content": "a\0"}]}, "messages[0].content"),
    ({"messages": [assistant("Hi")]}, "messages"),
    ({"messages": [TURN, assistant("Hi ")]}, "messages[1].content"),
    ({"messages": [TURN, assistant("Hi\n")]}, "messages[1].content"),
    ({"messages": [TURN, assistant("")]}, "messages[1].content"),
    ({"messages": [{**TURN, "content": [{"type": "text"}]}]}, "messages[0].content[0].text"),
    ({"system": 5}, "system"),
    ({"system": "a\0"}, "system"),
    ({"system": [{"type": "text"}]}, "system[0].text"),
    ({"stop_sequences": "x"}, "stop_sequences"),
    ({"stop_sequences": [""]}, "stop_sequences"),
    ({"stop_sequences": ["x"] * 17}, "stop_sequences"),
    ({"temperature": 1.1}, "temperature"),
    ({"top_p": 0}, "top_p"),
    ({"stream": "yes"}, "stream"),
    ({"metadata": {"user_id": 5}}, "metadata.user_id"),
    ({"cache_control": {"type": "forever"}}, "cache_control.type"),
    ({"cache_control": {"type": "ephemeral", "ttl": "9d"}}, "cache_control.ttl"),
    (
        {"messages": [{**TURN, "content": [{**BLOCK, "cache_control": {}}]}]},
        "messages[0].content[0].cache_control.type",
    ),
]


@pytest.mark.parametrize(("parameters", "param"), INVALID)
def test_wrong_parameter_is_named(parameters: dict[str, object], param: str) -> None:
    assert refusal(**parameters) == ("invalid_request", param)


UNSUPPORTED: list[tuple[dict[str, object], str]] = [
    ({"top_k": 5}, "top_k"),
    ({"tools": [{"name": "x"}]}, "tools"),
    ({"tool_choice": {"type": "any"}}, "tool_choice"),
    ({"thinking": {"type": "enabled", "budget_tokens": 2000}}, "thinking"),
    ({"output_config": {"effort": "high"}}, "output_config"),
    ({"speed": "fast"}, "speed"),
    ({"container": "x"}, "container"),
    ({"metadata": {"other": "x"}}, "metadata.other"),
    ({"messages": [{**TURN, "name": "Ada"}]}, "messages[0].name"),
    (
        {"messages": [{**TURN, "content": [{"type": "image", "source": {}}]}]},
        "messages[0].content[0].type",
    ),
    (
        {"messages": [{**TURN, "content": [{**BLOCK, "citations": [{}]}]}]},
        "messages[0].content[0].citations",
    ),
    ({"system": [{"type": "document"}]}, "system[0].type"),
]


@pytest.mark.parametrize(("parameters", "param"), UNSUPPORTED)
def test_nothing_is_ignored(parameters: dict[str, object], param: str) -> None:
    assert refusal(**parameters) == ("unsupported_parameter", param)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
block = st.fixed_dictionaries(
    {"type": st.just("text"), "text": st.text() | anything},
    optional=dict.fromkeys((*TextBlock.neutral, "cache_control"), anything),
)
turn = st.fixed_dictionaries(
    {
        "role": st.sampled_from(["user", "assistant", "system"]),
        "content": st.lists(block, max_size=2) | st.text() | anything,
    },
    optional={"extra": anything},
)
near = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys((*MessagesBody.__struct_fields__, *NEUTRAL, "extra"), anything)
    | {
        "model": st.text(),
        "messages": st.lists(turn, max_size=3),
        "max_tokens": st.integers(),
        "system": st.text() | st.lists(block, max_size=2),
    },
)


@given(anything | near)
def test_whatever_comes_is_refused_or_fits_a_frame(found: object) -> None:
    body = json.dumps(found).encode("utf-8", "surrogatepass")
    try:
        asked = messages_question_read(body)
    except ApiError as refused:
        if refused.status not in (400, 404):
            raise
        json.dumps(refused.body, allow_nan=False).encode()
        return
    job = Job("j", 1, asked.model, list(asked.messages), asked.beginning, asked.sampling)
    encode(job)
