"""Requests, written in the manner that a server was found to take."""

from dataclasses import replace

from motherfluxer_model.core.manner import USAGE_AT_THE_END, Manner, Question, Way, make_call
from motherfluxer_wire.frames import Message, Sampling

MANNER = Manner("org/m", stream_options=USAGE_AT_THE_END)
MESSAGES = (Message(role="system", content="be brief"), Message(role="user", content="hi"))
SAMPLING = Sampling(
    temperature=0.5, top_p=0.9, stop=["a", "b", "c", "d", "e"], seed=-1, presence_penalty=1
)
QUESTION = Question(MESSAGES, 9, sampling=SAMPLING)
SAID = [{"role": "system", "content": "be brief"}, {"role": "user", "content": "hi"}]


def test_a_question_is_a_streaming_chat() -> None:
    call = make_call(MANNER, QUESTION)
    assert call.path == "/chat/completions"
    assert call.body == {
        "model": "org/m",
        "stream": True,
        "messages": SAID,
        "max_tokens": 9,
        "temperature": 0.5,
        "top_p": 0.9,
        "stop": ["a", "b", "c", "d"],
        "seed": 2**31 - 1,
        "presence_penalty": 1,
        "stream_options": {"include_usage": True},
    }


def test_fields_that_were_refused_are_left_out() -> None:
    manner = replace(MANNER, fields=frozenset({"seed"}), limit_field="max_completion_tokens")
    body = make_call(manner, QUESTION).body
    assert set(body) == {"model", "stream", "messages", "max_completion_tokens", "seed"}


def test_what_a_job_leaves_open_is_left_to_the_server() -> None:
    body = make_call(MANNER, Question(MESSAGES, 9)).body
    assert set(body) == {"model", "stream", "messages", "max_tokens", "stream_options"}


def test_a_beginning_goes_as_the_last_message() -> None:
    question = replace(QUESTION, prefix="well, ")
    for way, flags in ((Way.FINAL_MESSAGE, True), (Way.LAST_MESSAGE, False)):
        body = make_call(replace(MANNER, way=way), question).body
        assert body["messages"] == [*SAID, {"role": "assistant", "content": "well, "}]
        assert (body.get("continue_final_message", False), "add_generation_prompt" in body) == (
            flags,
            flags,
        )
    assert "continue_final_message" not in make_call(MANNER, QUESTION).body


def test_a_beginning_goes_behind_the_rendered_conversation() -> None:
    manner = replace(MANNER, way=Way.TEMPLATE, limit_field="max_completion_tokens")
    call = make_call(
        manner, replace(QUESTION, prefix="well, "), lambda said: f"<{said[-1].content}>"
    )
    assert call.path == "/completions"
    assert call.body["prompt"] == "<hi>well, "
    assert call.body["max_tokens"] == 9
    assert "messages" not in call.body
