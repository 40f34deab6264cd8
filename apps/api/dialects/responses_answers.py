"""Responses as they are answered: a whole one, or the events of a streamed one. Pure."""

from collections.abc import Mapping
from typing import Any, Final

from apps.api.dialects.base import Answer, EventWriter, Head
from apps.api.dialects.writing import event_write, text_encode
from apps.api.errors import ApiError
from motherfluxer_wire.frames import Usage

# What is so for each response here, in the places where OpenAI's clients look for it.
_FIXED: Final[dict[str, Any]] = {
    "background": False,
    "error": None,
    "incomplete_details": None,
    "output": [],
    "previous_response_id": None,
    "reasoning": {"effort": None, "summary": None},
    "service_tier": "default",
    "store": False,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "truncation": "disabled",
    "usage": None,
}


def response_of_answer(answer: Answer, echoed: Mapping[str, Any]) -> dict[str, Any]:
    """Return a response that is over."""
    status = _status(answer)
    is_cut = status == "incomplete"
    return _response(answer.head, echoed, status) | {
        "incomplete_details": {"reason": "max_output_tokens"} if is_cut else None,
        "output": [_item(answer.head, status, [_part(answer.text)])],
        "usage": _usage(answer.usage),
    }


def _status(answer: Answer) -> str:
    return "incomplete" if answer.finish_reason == "length" else "completed"


def _response(head: Head, echoed: Mapping[str, Any], status: str) -> dict[str, Any]:
    own = {
        "id": f"resp_{head.job_id}",
        "object": "response",
        "created_at": head.created,
        "status": status,
        "model": head.model,
    }
    return {**own, **_FIXED, **echoed}


def _item(head: Head, status: str, content: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": f"msg_{head.job_id}",
        "type": "message",
        "status": status,
        "role": "assistant",
        "content": content,
    }


def _part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "annotations": [], "logprobs": [], "text": text}


def _usage(usage: Usage | None) -> dict[str, Any] | None:
    """Return the count of tokens; None when the instance has not told it."""
    if usage is None:
        return None
    return {
        "input_tokens": usage.prompt_tokens,
        "input_tokens_details": {
            "cached_tokens": usage.cached_tokens or 0,
            "cache_write_tokens": 0,
        },
        "output_tokens": usage.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
    }


class ResponseEventWriter(EventWriter):
    """Writes one stream's events and numbers them in the order in which it is asked for them."""

    def __init__(self, head: Head, echoed: Mapping[str, Any]) -> None:
        self._head = head
        self._echoed = echoed
        self._number = 0
        place = {"item_id": f"msg_{head.job_id}", "output_index": 0, "content_index": 0}
        self._place: dict[str, Any] = place
        delta = event_write("response.output_text.delta", {**place, "logprobs": [], "delta": 0})
        self._delta_head = delta.removesuffix(b"0}\n\n")

    def waiting(self) -> bytes:
        """Return the events that say that a response is on its way."""
        begun = _response(self._head, self._echoed, "in_progress")
        return self._event("response.created", {"response": begun}) + self._event(
            "response.in_progress", {"response": begun}
        )

    def opening(self) -> bytes:
        """Return the events that say that a text comes."""
        item = {"output_index": 0, "item": _item(self._head, "in_progress", [])}
        return (
            self._begun()
            + self._event("response.output_item.added", item)
            + self._event("response.content_part.added", {**self._place, "part": _part("")})
        )

    def piece(self, text: str) -> bytes:
        """Return the event of a piece of text."""
        tail = b',"sequence_number":%d}\n\n' % self._next_number()
        return self._delta_head + text_encode(text) + tail

    def ending(self, answer: Answer) -> bytes:
        """Return the events that hold the whole text, its item, and the response."""
        response = response_of_answer(answer, self._echoed)
        part = _part(answer.text)
        done = {**self._place, "logprobs": [], "text": answer.text}
        item = {"output_index": 0, "item": response["output"][0]}
        return (
            self._event("response.output_text.done", done)
            + self._event("response.content_part.done", {**self._place, "part": part})
            + self._event("response.output_item.done", item)
            + self._event(f"response.{_status(answer)}", {"response": response})
        )

    def failure(self, error: ApiError) -> bytes:
        """Return the events of a failed response, and of the error: OpenAI's clients raise it."""
        told = {"code": error.code.value, "message": error.message}
        failed = _response(self._head, self._echoed, "failed") | {"error": told}
        return (
            self._begun()
            + self._event("response.failed", {"response": failed})
            + self._event("error", {**told, "param": error.param, **error.body})
        )

    def _begun(self) -> bytes:
        """Return the first events, unless they were sent while the stream waited."""
        return b"" if self._number else self.waiting()

    def _event(self, kind: str, fields: Mapping[str, Any]) -> bytes:
        return event_write(kind, {**fields, "sequence_number": self._next_number()})

    def _next_number(self) -> int:
        number = self._number
        self._number += 1
        return number
