"""What is written must be what the official clients' types say, field by field.

The clients themselves take whatever comes, so their own tests would not notice a missing field.
"""

from typing import Any

import pytest
from anthropic.types import Message, RawMessageStreamEvent
from anthropic.types.shared import ErrorResponse
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from apps.api.dialects.messages import messages_question_read
from apps.api.dialects.messages_answers import messages_error_body
from apps.api.dialects.responses import responses_question_read
from apps.api.errors import ApiError
from apps.router.errors import ErrorCode
from motherfluxer_wire.frames import Usage
from tests.unit.api.events import HEAD, answer, events_of

RESPONSE = responses_question_read(b'{"model": "m", "input": "x", "metadata": {"a": "b"}}')
MESSAGE = messages_question_read(
    b'{"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]}'
)
FAULT = ApiError(ErrorCode.INSTANCES_FAILED, "All have failed.")
USAGE = Usage(prompt_tokens=3, completion_tokens=2, cached_tokens=1)


@pytest.mark.parametrize("finish_reason", ["stop", "length"])
def test_responses(finish_reason: str) -> None:
    whole = answer("Hi", finish_reason, USAGE)
    read = Response.model_validate(RESPONSE.body(whole))
    assert read.output_text == "Hi"
    writer = RESPONSE.writer(HEAD)
    sent = writer.waiting() + writer.opening() + writer.piece("Hi") + writer.ending(whole)
    event_type: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
    *_, last = [event_type.validate_python(event) for event in events_of(sent)]
    assert last.response == read


def test_failed_response() -> None:
    """Its code is one of ours, where the types list OpenAI's own: all else must be right."""
    *events, failed, error = events_of(RESPONSE.writer(HEAD).failure(FAULT))
    event_type: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
    assert event_type.validate_python(error).code == "instances_failed"
    failed["response"]["error"]["code"] = "server_error"
    for event in (*events, failed):
        event_type.validate_python(event)


@pytest.mark.parametrize("finish_reason", ["stop", "length"])
def test_messages(finish_reason: str) -> None:
    whole = answer("Hi", finish_reason, USAGE)
    read = Message.model_validate(MESSAGE.body(whole))
    [block] = read.content
    assert block.type == "text"
    assert block.text == "Hi"
    writer = MESSAGE.writer(HEAD)
    sent = writer.waiting() + writer.opening() + writer.piece("Hi") + writer.ending(whole)
    event_type: TypeAdapter[Any] = TypeAdapter(RawMessageStreamEvent)
    told = [event for event in events_of(sent) if event["type"] != "ping"]
    assert len([event_type.validate_python(event) for event in told]) == 6


# `request_too_large` is documented, but not among the types.
@pytest.mark.parametrize("code", [code for code in ErrorCode if code.http_status != 413])
def test_errors_of_messages(code: ErrorCode) -> None:
    ErrorResponse.model_validate(messages_error_body(ApiError(code, "No."), "r1"))
