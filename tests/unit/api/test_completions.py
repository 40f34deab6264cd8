"""What a completion's body may hold, as tables; and that nothing else gets through."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.api.dialects.completions import NEUTRAL, CompletionBody, completion_question_read
from apps.api.errors import ApiError
from motherfluxer_wire.codec import encode
from motherfluxer_wire.frames import Job, Message, Sampling

BASE: dict[str, Any] = {"model": "m", "prompt": "Hello"}


def parse(**parameters: object) -> Any:
    return completion_question_read(json.dumps({**BASE, **parameters}).encode())


def refusal(**parameters: object) -> tuple[str, str | None]:
    with pytest.raises(ApiError) as refused:
        parse(**parameters)
    return refused.value.code.value, refused.value.param


@pytest.mark.parametrize("prompt", ["Hello", ["Hello"]])
def test_a_prompt_is_asked_as_one_question(prompt: object) -> None:
    asked = parse(prompt=prompt)
    assert asked.messages == (Message("user", "Hello"),)
    assert asked.sampling == Sampling()
    assert (asked.model, asked.is_streamed, asked.includes_usage) == ("m", False, False)


def test_what_is_understood_is_honoured() -> None:
    asked = parse(
        max_tokens=5, temperature=0, top_p=1, seed=3, stop="x", presence_penalty=1, user="u"
    )
    assert asked.sampling == Sampling(
        max_tokens=5, temperature=0, top_p=1, seed=3, stop=["x"], presence_penalty=1
    )
    assert parse(stream=True, stream_options={"include_usage": True}).includes_usage


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in NEUTRAL.items() for value in values]
)
def test_what_changes_nothing_may_be_said(name: str, value: object) -> None:
    assert parse(**{name: value}) == parse() == parse(**{name: None})


@pytest.mark.parametrize(
    ("parameters", "param"),
    [
        ({"prompt": [1, 2]}, "prompt"),
        ({"prompt": [[1, 2]]}, "prompt"),
        ({"prompt": ["a", "b"]}, "prompt"),
        ({"best_of": 2}, "best_of"),
        ({"echo": True}, "echo"),
        ({"suffix": "end"}, "suffix"),
        ({"logprobs": 0}, "logprobs"),
        ({"logprobs": 5}, "logprobs"),
        ({"n": 2}, "n"),
        ({"messages": []}, "messages"),
        ({"max_completion_tokens": 5}, "max_completion_tokens"),
    ],
)
def test_nothing_is_ignored(parameters: dict[str, object], param: str) -> None:
    assert refusal(**parameters) == ("unsupported_parameter", param)


@pytest.mark.parametrize("prompt", [None, "", [], [""], [0.5], [None], {}, 5, "a\0"])
def test_no_prompt_is_invalid(prompt: object) -> None:
    assert refusal(prompt=prompt) == ("invalid_request", "prompt")


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
near = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys([*CompletionBody.__struct_fields__, *NEUTRAL], anything)
    | {"model": st.text(), "prompt": st.text() | st.lists(anything, max_size=2)},
)


@given(near)
def test_whatever_comes_is_refused_or_fits_a_frame(found: object) -> None:
    try:
        asked = completion_question_read(json.dumps(found).encode("utf-8", "surrogatepass"))
    except ApiError as refused:
        if refused.status not in (400, 404):
            raise
        json.dumps(refused.body, allow_nan=False).encode()
        return
    encode(Job("j", 1, asked.model, list(asked.messages), sampling=asked.sampling))
