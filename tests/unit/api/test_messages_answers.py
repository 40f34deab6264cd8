"""A message's events, their order and what they say; and its errors."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.api.dialects.messages_answers import (
    MessageEventWriter,
    message_body,
    messages_error_body,
)
from apps.api.errors import ApiError
from apps.router.errors import ErrorCode
from motherfluxer_wire.frames import Usage
from tests.unit.api.events import HEAD, answer, events_of, texts, usages

FAULT = ApiError(ErrorCode.INSTANCES_FAILED, "All have failed.")


@given(texts, st.booleans(), st.sampled_from(["stop", "length"]), usages)
def test_a_stream_is_the_whole_message_in_pieces(
    pieces: tuple[str, ...], has_waited: bool, finish_reason: str, usage: Usage | None
) -> None:
    whole = answer("".join(pieces), finish_reason, usage)
    writer = MessageEventWriter(HEAD)
    sent = writer.waiting() if has_waited else b""
    sent += writer.opening() + b"".join(writer.piece(piece) for piece in pieces)
    events = events_of(sent + writer.ending(whole))
    told = [event for event in events if event["type"] != "ping"]
    assert len(events) - len(told) == has_waited
    first, opened, *deltas, closed, last, stop = told
    assert [e["type"] for e in (first, opened, closed, last, stop)] == [
        "message_start",
        "content_block_start",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    assert {e["type"] for e in deltas} <= {"content_block_delta"}
    assert "".join(e["delta"]["text"] for e in deltas) == whole.text
    body = message_body(whole)
    block = {**opened["content_block"], "text": whole.text}
    joined = {**first["message"], **last["delta"], "usage": last["usage"], "content": [block]}
    assert joined == body


def test_a_text_block_holds_what_strict_clients_know_and_no_more() -> None:
    assert message_body(answer("Hi"))["content"] == [{"type": "text", "text": "Hi"}]


@pytest.mark.parametrize(("reason", "told"), [("stop", "end_turn"), ("length", "max_tokens")])
def test_a_message_says_why_it_ended(reason: str, told: str) -> None:
    assert message_body(answer("Hi", reason))["stop_reason"] == told


def test_tokens_that_were_held_are_counted_apart() -> None:
    usage = message_body(answer("Hi", usage=Usage(5, 2, 3)))["usage"]
    assert (usage["input_tokens"], usage["cache_read_input_tokens"]) == (2, 3)
    assert usage["output_tokens"] == 2


def test_an_instance_that_held_more_than_there_was_makes_no_debt() -> None:
    usage = message_body(answer("Hi", usage=Usage(5, 2, 99)))["usage"]
    assert (usage["input_tokens"], usage["cache_read_input_tokens"]) == (0, 5)


@pytest.mark.parametrize("has_waited", [False, True])
def test_a_stream_that_breaks_off_ends_with_an_error(has_waited: bool) -> None:
    writer = MessageEventWriter(HEAD)
    sent = writer.waiting() if has_waited else writer.opening() + writer.piece("a")
    *_, error = events_of(sent + writer.failure(FAULT))
    assert error == messages_error_body(FAULT, "r1")


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (ErrorCode.INVALID_REQUEST, "invalid_request_error"),
        (ErrorCode.INVALID_API_KEY, "authentication_error"),
        (ErrorCode.MODEL_OUT_OF_SCOPE, "permission_error"),
        (ErrorCode.MODEL_NOT_FOUND, "not_found_error"),
        (ErrorCode.METHOD_NOT_ALLOWED, "invalid_request_error"),
        (ErrorCode.REQUEST_TOO_LARGE, "request_too_large"),
        (ErrorCode.IDEMPOTENCY_KEY_REUSED, "invalid_request_error"),
        (ErrorCode.RATE_LIMIT_EXCEEDED, "rate_limit_error"),
        (ErrorCode.INTERNAL_ERROR, "api_error"),
        (ErrorCode.INSTANCES_FAILED, "api_error"),
        (ErrorCode.NO_INSTANCE, "overloaded_error"),
    ],
)
def test_an_error_has_the_type_of_its_status(code: ErrorCode, kind: str) -> None:
    assert messages_error_body(ApiError(code, "No.", param="model"), "r1") == {
        "type": "error",
        "error": {
            "type": kind,
            "message": "No.",
            "details": {"error_code": code.value, "param": "model"},
        },
        "request_id": "r1",
    }
