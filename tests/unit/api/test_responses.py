"""What a response's body may hold, as tables; and that nothing else gets through."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.api.dialects.responses import (
    NEUTRAL,
    InputPart,
    ResponsesBody,
    responses_question_read,
)
from apps.api.errors import ApiError
from motherfluxer_wire.codec import encode
from motherfluxer_wire.frames import Job, Message, Sampling

BASE: dict[str, Any] = {"model": "m", "input": "Hello"}
TURN: dict[str, Any] = {"role": "user", "content": "Hello"}
PART: dict[str, Any] = {"type": "input_text", "text": "Hello"}


def parse(**parameters: object) -> Any:
    return responses_question_read(json.dumps({**BASE, **parameters}).encode())


def refusal(**parameters: object) -> tuple[str, str | None]:
    with pytest.raises(ApiError) as refused:
        parse(**parameters)
    return refused.value.code.value, refused.value.param


def test_a_text_is_asked_as_one_question() -> None:
    asked = parse()
    assert asked.messages == (Message("user", "Hello"),)
    assert asked.sampling == Sampling()
    assert (asked.model, asked.is_streamed, asked.beginning) == ("m", False, "")
    assert asked.echoed["metadata"] == {}


def test_what_is_understood_is_honoured_and_repeated() -> None:
    asked = parse(
        instructions="Be kind.",
        max_output_tokens=5,
        temperature=0,
        top_p=1,
        stream=True,
        user="u",
        metadata={"a": "b"},
    )
    assert asked.messages == (Message("system", "Be kind."), Message("user", "Hello"))
    assert asked.sampling == Sampling(max_tokens=5, temperature=0, top_p=1)
    assert asked.is_streamed
    shown = {name: value for name, value in asked.echoed.items() if value is not None}
    assert shown == {
        "instructions": "Be kind.",
        "max_output_tokens": 5,
        "temperature": 0,
        "top_p": 1,
        "user": "u",
        "metadata": {"a": "b"},
        "parallel_tool_calls": True,
    }


def test_an_earlier_answer_may_be_sent_back_as_it_came() -> None:
    answer = {
        "id": "msg_1",
        "type": "message",
        "status": "completed",
        "role": "assistant",
        "content": [{"type": "output_text", "text": "Hi.", "annotations": [], "logprobs": []}],
    }
    turns = [
        {"role": "developer", "content": "Be kind."},
        {"type": "message", "role": "user", "content": [PART, {**PART, "text": " there"}]},
        answer,
        TURN,
    ]
    assert parse(input=turns).messages == (
        Message("system", "Be kind."),
        Message("user", "Hello there"),
        Message("assistant", "Hi."),
        Message("user", "Hello"),
    )


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in NEUTRAL.items() for value in values]
)
def test_what_changes_nothing_may_be_said(name: str, value: object) -> None:
    streamed = parse(stream=True)
    assert parse(stream=True, **{name: value}) == streamed == parse(stream=True, **{name: None})


@pytest.mark.parametrize(
    "parameters",
    [
        {"reasoning": {"effort": None, "summary": None}},
        {"text": {"format": {"type": "text"}, "verbosity": None}},
    ],
)
def test_null_is_absent_within_a_parameter(parameters: dict[str, object]) -> None:
    assert parse(**parameters) == parse()


INVALID: list[tuple[dict[str, object], str]] = [
    ({"model": 5}, "model"),
    ({"model": None}, "model"),
    ({"input": None}, "input"),
    ({"input": ""}, "input"),
    ({"input": []}, "input"),
    ({"input": 5}, "input"),
    ({"input": ["Hello"]}, "input[0]"),
    ({"input": "a\0"}, "input"),
    ({"input": [{"content": "x"}]}, "input[0].role"),
    ({"input": [{"role": "user"}]}, "input[0].content"),
    ({"input": [{**TURN, "role": "tool"}]}, "input[0].role"),
    ({"input": [{**TURN, "status": "over"}]}, "input[0].status"),
    ({"input": [TURN, {**TURN, "content": ""}]}, "input[1].content"),
    ({"input": [{**TURN, "content": []}]}, "input[0].content"),
    ({"input": [{**TURN, "content": [{"type": "input_text"}]}]}, "input[0].content[0].text"),
    ({"input": [{**TURN, "content": [{"text": "x"}]}]}, "input[0].content[0].type"),
    ({"instructions": []}, "instructions"),
    ({"instructions": "a\0"}, "instructions"),
    ({"max_output_tokens": 0}, "max_output_tokens"),
    ({"temperature": 2.1}, "temperature"),
    ({"temperature": float("nan")}, "temperature"),
    ({"top_p": 0}, "top_p"),
    ({"stream": "yes"}, "stream"),
    ({"stream_options": {"include_obfuscation": False}}, "stream_options"),
    ({"metadata": {"a": 5}}, "metadata"),
    ({"metadata": {"a": "x" * 513}}, "metadata"),
    ({"user": "\ud800"}, "user"),
    ({"user": "x" * 513}, "user"),
    ({"prompt_cache_key": "x" * 513}, "prompt_cache_key"),
    ({"safety_identifier": "x" * 513}, "safety_identifier"),
]


@pytest.mark.parametrize(("parameters", "param"), INVALID)
def test_wrong_parameter_is_named(parameters: dict[str, object], param: str) -> None:
    assert refusal(**parameters) == ("invalid_request", param)


UNSUPPORTED: list[tuple[dict[str, object], str]] = [
    ({"store": True}, "store"),
    ({"store": 0}, "store"),
    ({"previous_response_id": "resp_1"}, "previous_response_id"),
    ({"conversation": "conv_1"}, "conversation"),
    ({"background": True}, "background"),
    ({"include": ["message.output_text.logprobs"]}, "include"),
    ({"tools": [{"type": "web_search"}]}, "tools"),
    ({"tool_choice": "required"}, "tool_choice"),
    ({"text": {"format": {"type": "json_object"}}}, "text"),
    ({"text": {"verbosity": "high"}}, "text"),
    ({"reasoning": {"effort": "high"}}, "reasoning"),
    ({"truncation": "auto"}, "truncation"),
    ({"top_logprobs": 2}, "top_logprobs"),
    ({"max_tool_calls": 1}, "max_tool_calls"),
    ({"stream": True, "stream_options": {"include_obfuscation": True}}, "stream_options"),
    ({"messages": []}, "messages"),
    ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "input[0].type"),
    ({"input": [{"type": "function_call_output", "output": "x"}]}, "input[0].type"),
    ({"input": [{**TURN, "name": "Ada"}]}, "input[0].name"),
    (
        {"input": [{**TURN, "content": [{"type": "input_image", "image_url": "x"}]}]},
        "input[0].content[0].type",
    ),
    (
        {"input": [{**TURN, "content": [{**PART, "annotations": [{}]}]}]},
        "input[0].content[0].annotations",
    ),
]


@pytest.mark.parametrize(("parameters", "param"), UNSUPPORTED)
def test_nothing_is_ignored(parameters: dict[str, object], param: str) -> None:
    assert refusal(**parameters) == ("unsupported_parameter", param)


def test_a_client_that_refers_to_what_is_stored_is_told_what_to_do() -> None:
    with pytest.raises(ApiError, match="store as false"):
        parse(input=[{"type": "item_reference", "id": "msg_1"}])


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
part = st.fixed_dictionaries(
    {"type": st.sampled_from(["input_text", "output_text"]), "text": st.text() | anything},
    optional=dict.fromkeys(InputPart.neutral, anything),
)
item = st.fixed_dictionaries(
    {"role": st.just("user"), "content": st.lists(part, max_size=2) | anything},
    optional={"type": st.just("message"), "id": anything, "status": anything, "extra": anything},
)
near = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys((*ResponsesBody.__struct_fields__, *NEUTRAL, "extra"), anything)
    | {"model": st.text(), "input": st.text() | st.lists(item, max_size=3)},
)


@given(anything | near)
def test_whatever_comes_is_refused_or_fits_a_frame(found: object) -> None:
    body = json.dumps(found).encode("utf-8", "surrogatepass")
    try:
        asked = responses_question_read(body)
    except ApiError as refused:
        if refused.status not in (400, 404):
            raise
        json.dumps(refused.body, allow_nan=False).encode()
        return
    encode(Job("j", 1, asked.model, list(asked.messages), sampling=asked.sampling))
