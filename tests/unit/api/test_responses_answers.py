"""A response's events: their order, their numbers, and what they say."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.api.dialects.responses import responses_question_read
from apps.api.dialects.responses_answers import ResponseEventWriter, response_of_answer
from apps.api.errors import ApiError
from apps.router.errors import ErrorCode
from motherfluxer_wire.frames import Usage
from tests.unit.api.events import HEAD, answer, events_of, texts, usages

ECHOED = responses_question_read(b'{"model": "m", "input": "x", "instructions": "\xc2\x85"}').echoed
BEGUN = ["response.created", "response.in_progress"]
OPENED = ["response.output_item.added", "response.content_part.added"]
CLOSED = ["response.output_text.done", "response.content_part.done", "response.output_item.done"]
FAULT = ApiError(ErrorCode.INSTANCES_FAILED, "All have failed.")


def streamed(pieces: tuple[str, ...], has_waited: bool, end: Any) -> list[dict[str, Any]]:
    """Return the events of a stream that ends as `end` says of its writer."""
    writer = ResponseEventWriter(HEAD, ECHOED)
    sent = writer.waiting() if has_waited else b""
    sent += writer.opening() + b"".join(writer.piece(piece) for piece in pieces)
    events = events_of(sent + end(writer))
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    return events


@given(texts, st.booleans(), st.sampled_from(["stop", "length"]), usages)
def test_a_stream_holds_its_text_thrice_and_ends_as_the_whole_answer(
    pieces: tuple[str, ...], has_waited: bool, finish_reason: str, usage: Usage | None
) -> None:
    whole = answer("".join(pieces), finish_reason, usage)
    events = streamed(pieces, has_waited, lambda writer: writer.ending(whole))
    last = "response.completed" if finish_reason == "stop" else "response.incomplete"
    deltas = ["response.output_text.delta"] * len(pieces)
    assert [e["type"] for e in events] == [*BEGUN, *OPENED, *deltas, *CLOSED, last]
    assert "".join(e["delta"] for e in events if "delta" in e) == whole.text
    text_done, part_done, item_done, end = events[-4:]
    assert text_done["text"] == part_done["part"]["text"] == whole.text
    assert end["response"] == response_of_answer(whole, ECHOED)
    assert end["response"]["output"] == [item_done["item"]]


@pytest.mark.parametrize("has_waited", [False, True])
def test_a_stream_that_breaks_off_says_so_twice(has_waited: bool) -> None:
    events = streamed(("a",), has_waited, lambda writer: writer.failure(FAULT))
    failed, error = events[-2:]
    told = {"code": "instances_failed", "message": "All have failed."}
    assert failed["response"]["status"] == "failed"
    assert failed["response"]["error"] == told
    assert error["type"] == "error"
    assert told.items() <= error.items()
    assert error["error"] == FAULT.body["error"]
    assert events[-3]["type"] == "response.output_text.delta"


@pytest.mark.parametrize("has_waited", [False, True])
def test_a_stream_that_fails_in_the_queue_has_begun_all_the_same(has_waited: bool) -> None:
    writer = ResponseEventWriter(HEAD, ECHOED)
    events = events_of((writer.waiting() if has_waited else b"") + writer.failure(FAULT))
    assert [event["type"] for event in events] == [*BEGUN, "response.failed", "error"]
    assert [event["sequence_number"] for event in events] == [0, 1, 2, 3]


def test_a_whole_response_says_what_was_asked_and_what_came() -> None:
    body = response_of_answer(answer("Hi", "length", Usage(3, 2, 1)), ECHOED)
    assert (body["id"], body["object"], body["status"]) == ("resp_j1", "response", "incomplete")
    assert body["incomplete_details"] == {"reason": "max_output_tokens"}
    assert (body["model"], body["created_at"]) == (HEAD.model, HEAD.created)
    assert (body["instructions"], body["store"]) == ("\x85", False)
    usage = body["usage"]
    assert (usage["input_tokens"], usage["output_tokens"], usage["total_tokens"]) == (3, 2, 5)
    assert usage["input_tokens_details"]["cached_tokens"] == 1
    assert response_of_answer(answer("Hi"), ECHOED)["incomplete_details"] is None
