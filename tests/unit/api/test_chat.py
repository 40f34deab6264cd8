"""What a chat completion's body may hold, as tables; and that nothing else gets through."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.api.dialects.chat import NEUTRAL, ChatBody, chat_question_read
from apps.api.errors import ApiError
from motherfluxer_wire.codec import encode
from motherfluxer_wire.frames import Job, Message, Sampling

TURN: dict[str, Any] = {"role": "user", "content": "Hello"}
BASE: dict[str, Any] = {"model": "m", "messages": [TURN]}


def parse(**parameters: object) -> Any:
    return chat_question_read(json.dumps({**BASE, **parameters}).encode())


def refusal(body: bytes) -> tuple[str, str | None]:
    with pytest.raises(ApiError) as refused:
        chat_question_read(body)
    return refused.value.code.value, refused.value.param


def test_smallest_request_leaves_everything_to_the_instance() -> None:
    asked = parse()
    assert asked.messages == (Message("user", "Hello"),)
    assert asked.sampling == Sampling()
    assert (asked.model, asked.is_streamed, asked.includes_usage) == ("m", False, False)


@pytest.mark.parametrize(
    ("parameters", "sampling"),
    [
        ({"stop": "end"}, Sampling(stop=["end"])),
        ({"stop": ["a", "b"]}, Sampling(stop=["a", "b"])),
        ({"stop": []}, Sampling()),
        ({"max_tokens": 5}, Sampling(max_tokens=5)),
        ({"max_completion_tokens": 5}, Sampling(max_tokens=5)),
        ({"max_tokens": 5, "max_completion_tokens": 5}, Sampling(max_tokens=5)),
        ({"temperature": 0, "top_p": 1, "seed": -3}, Sampling(temperature=0, top_p=1, seed=-3)),
        ({"frequency_penalty": -2}, Sampling(frequency_penalty=-2)),
        ({"presence_penalty": 1.5}, Sampling(presence_penalty=1.5)),
        ({"user": "u", "metadata": {"a": "b"}}, Sampling()),
        ({"prompt_cache_key": "k", "safety_identifier": "s"}, Sampling()),
        ({"stream": True, "stream_options": {"include_obfuscation": False}}, Sampling()),
        ({"tools": None, "temperature": None, "anything": None, "stop": None}, Sampling()),
    ],
)
def test_understood_parameter_is_honoured(
    parameters: dict[str, object], sampling: Sampling
) -> None:
    assert parse(**parameters).sampling == sampling


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in NEUTRAL.items() for value in values]
)
def test_what_changes_nothing_may_be_said(name: str, value: object) -> None:
    assert parse(**{name: value}) == parse()


@pytest.mark.parametrize("name", NEUTRAL)
@pytest.mark.parametrize("value", ["other", 7, {"type": "json_object"}, [{}], -0.5])
def test_what_would_change_something_is_refused_by_name(name: str, value: object) -> None:
    body = json.dumps({**BASE, name: value}).encode()
    assert refusal(body) == ("unsupported_parameter", name)


def test_stream_and_its_usage_are_asked_for() -> None:
    assert parse(stream=True).is_streamed
    assert not parse(stream=True).includes_usage
    assert parse(stream=True, stream_options={"include_usage": True}).includes_usage
    assert not parse(stream=True, stream_options={"include_usage": None}).includes_usage


def test_turns_keep_their_order_and_parts_are_joined() -> None:
    parts = [{"type": "text", "text": "one "}, {"type": "text", "text": "two"}]
    turns = [
        {"role": "developer", "content": "Be kind."},
        {"role": "user", "content": parts},
        {"role": "assistant", "content": "", "refusal": None, "tool_calls": None},
        {"role": "assistant", "content": "So.", "annotations": [], "tool_calls": []},
        TURN,
    ]
    assert parse(messages=turns).messages == (
        Message("system", "Be kind."),
        Message("user", "one two"),
        Message("assistant", ""),
        Message("assistant", "So."),
        Message("user", "Hello"),
    )


INVALID: list[tuple[dict[str, object], str]] = [
    ({"model": 5}, "model"),
    ({"model": ""}, "model"),
    ({"model": None}, "model"),
    ({"model": "a\0b"}, "model"),
    ({"messages": None}, "messages"),
    ({"messages": []}, "messages"),
    ({"messages": "Hello"}, "messages"),
    ({"messages": ["Hello"]}, "messages[0]"),
    ({"messages": [{"role": "user"}]}, "messages[0].content"),
    ({"messages": [{"content": "x"}]}, "messages[0].role"),
    ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].role"),
    ({"messages": [TURN, {"role": "user", "content": ""}]}, "messages[1].content"),
    ({"messages": [{"role": "user", "content": []}]}, "messages[0].content"),
    ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
    ({"messages": [{"role": "user", "content": ["x"]}]}, "messages[0].content[0]"),
    ({"messages": [{"role": "user", "content": "a\0"}]}, "messages[0].content"),
    (
        {"messages": [{"role": "user", "content": [{"type": "text"}]}]},
        "messages[0].content[0].text",
    ),
    (
        {"messages": [{"role": "user", "content": [{"text": "x"}]}]},
        "messages[0].content[0].type",
    ),
    ({"stream": "yes"}, "stream"),
    ({"stream_options": {"include_usage": True}}, "stream_options"),
    ({"stream": True, "stream_options": []}, "stream_options"),
    ({"stream": True, "stream_options": {"include_usage": 1}}, "stream_options.include_usage"),
    ({"stop": ""}, "stop"),
    ({"stop": [""]}, "stop[0]"),
    ({"stop": ["x"] * 17}, "stop"),
    ({"stop": "x" * 257}, "stop"),
    ({"stop": ["a\0"]}, "stop"),
    ({"stop": [5]}, "stop[0]"),
    ({"seed": 2**63}, "seed"),
    ({"seed": 10**40}, "seed"),
    ({"seed": "1"}, "seed"),
    ({"temperature": 2.1}, "temperature"),
    ({"temperature": -0.1}, "temperature"),
    ({"temperature": float("nan")}, "temperature"),
    ({"temperature": float("inf")}, "temperature"),
    ({"temperature": 10**400}, "temperature"),
    ({"top_p": 0}, "top_p"),
    ({"top_p": 1.1}, "top_p"),
    ({"max_tokens": 0}, "max_tokens"),
    ({"max_tokens": 2**53}, "max_tokens"),
    ({"max_tokens": 1.5}, "max_tokens"),
    ({"max_tokens": 5, "max_completion_tokens": 6}, "max_completion_tokens"),
    ({"frequency_penalty": 2.1}, "frequency_penalty"),
    ({"presence_penalty": -2.1}, "presence_penalty"),
    ({"user": 5}, "user"),
    ({"user": "\ud800"}, "user"),
    ({"metadata": {"a": 5}}, "metadata"),
    ({"metadata": {"a" * 65: "b"}}, "metadata"),
    ({"metadata": {"a": "b" * 513}}, "metadata"),
    ({"metadata": {str(n): "" for n in range(17)}}, "metadata"),
    ({"prompt_cache_key": 5}, "prompt_cache_key"),
]


@pytest.mark.parametrize(("parameters", "param"), INVALID)
def test_wrong_parameter_is_named(parameters: dict[str, object], param: str) -> None:
    assert refusal(json.dumps({**BASE, **parameters}).encode()) == ("invalid_request", param)


UNSUPPORTED: list[tuple[dict[str, object], str]] = [
    ({"n": 2}, "n"),
    ({"n": True}, "n"),
    ({"logit_bias": {"1": 2}}, "logit_bias"),
    ({"logprobs": True}, "logprobs"),
    ({"logprobs": 0}, "logprobs"),
    ({"top_logprobs": False}, "top_logprobs"),
    ({"store": True}, "store"),
    ({"response_format": {"type": "text", "extra": 1}}, "response_format"),
    ({"modalities": ["text", "audio"]}, "modalities"),
    ({"parallel_tool_calls": 1}, "parallel_tool_calls"),
    ({"service_tier": "flex"}, "service_tier"),
    ({"prediction": {}}, "prediction"),
    ({"top_k": 5}, "top_k"),
    ({"stream": True, "stream_options": {"other": 1}}, "stream_options.other"),
    (
        {"stream": True, "stream_options": {"include_obfuscation": True}},
        "stream_options.include_obfuscation",
    ),
    ({"messages": [{**TURN, "name": "Ada"}]}, "messages[0].name"),
    ({"messages": [{**TURN, "tool_calls": [{}]}]}, "messages[0].tool_calls"),
    ({"messages": [{**TURN, "refusal": "No."}]}, "messages[0].refusal"),
    (
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]},
        "messages[0].content[0].type",
    ),
    (
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "x", "cut": 1}]}]},
        "messages[0].content[0].cut",
    ),
]


@pytest.mark.parametrize(("parameters", "param"), UNSUPPORTED)
def test_nothing_is_ignored(parameters: dict[str, object], param: str) -> None:
    assert refusal(json.dumps({**BASE, **parameters}).encode()) == ("unsupported_parameter", param)


NO_OBJECT = {
    "nothing": b"",
    "cut": b"{",
    "list": b"[]",
    "null": b"null",
    "text": b'"x"',
    "no text": b"\xff\xfe",
    "two": b"{}{}",
    "half a character": b'{"model": "\xff"}',
    "byte order mark": b"\xef\xbb\xbf{}",
    "deep list": b"[" * 20_000,
    "deep object": b'{"a":' * 20_000,
    "long number": b'{"seed": 1' + b"0" * 5000 + b"}",
    "nan": b"NaN",
}


@pytest.mark.parametrize("body", NO_OBJECT.values(), ids=NO_OBJECT)
def test_body_that_is_no_json_object_is_refused(body: bytes) -> None:
    assert refusal(body)[0] == "invalid_request"


@pytest.mark.parametrize(
    "body",
    [
        b'{"model": "m", "messages": [' + b"[]," * 40_000 + b"1]}",
        b'{"model": "m", "messages": [' + b'"",' * 40_000 + b"1]}",
        b'{"model": "m", "messages": [' + b'"",' * 300_000 + b"1]}",
        b'{"model": "m", "metadata": {' + b'"a":1,' * 40_000 + b'"b":1}}',
        b"," * 1_000_000,
    ],
    ids=["lists", "texts", "many texts", "names", "no json"],
)
def test_more_values_than_are_worth_reading_are_too_many(body: bytes) -> None:
    assert refusal(body) == ("request_too_large", None)


@pytest.mark.parametrize("text", [",[{" * 100_000, '",' * 100_000, "\\," * 100_000])
def test_what_stands_in_a_text_is_not_counted_as_values(text: str) -> None:
    turn = {"role": "user", "content": text}
    assert parse(messages=[turn]).messages == (Message("user", text),)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b'{"model": "m", "model": "n"}', "model"),
        (b'{"model": "m", "messages": [{"role": "user", "role": "user"}]}', "role"),
        (b'{"model": "m", "mod\\u0065l": null}', "model"),
    ],
)
def test_a_name_given_twice_is_refused(body: bytes, param: str) -> None:
    assert refusal(body) == ("invalid_request", param)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
near = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys([*ChatBody.__struct_fields__, *NEUTRAL], anything)
    | {
        "model": st.text(),
        "messages": st.lists(
            st.fixed_dictionaries({"role": st.just("user"), "content": anything}), max_size=3
        ),
        "extra": anything,
    },
)


@given(anything | near)
def test_whatever_comes_is_refused_or_fits_a_frame(found: object) -> None:
    body = json.dumps(found).encode("utf-8", "surrogatepass")
    _refused_or_good(body)


@given(st.binary() | st.text().map(str.encode))
def test_whatever_bytes_come_are_refused_or_fit_a_frame(body: bytes) -> None:
    _refused_or_good(body)


def _refused_or_good(body: bytes) -> None:
    try:
        asked = chat_question_read(body)
    except ApiError as refused:
        if refused.status not in (400, 404):
            raise
        json.dumps(refused.body, allow_nan=False).encode()
        return
    encode(Job("j", 1, asked.model, list(asked.messages), sampling=asked.sampling))
