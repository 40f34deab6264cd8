"""Chat completions as they are answered: a whole one, or the events of a streamed one. Pure."""

from typing import Any

from apps.api.dialects.base import Answer, EventWriter, Head
from apps.api.dialects.writing import DONE, error_event, json_encode, text_encode, usage_body
from apps.api.errors import ApiError
from motherfluxer_wire.frames import Usage


def chat_completion_body(answer: Answer) -> dict[str, Any]:
    """Return a whole answer."""
    message = {"role": "assistant", "content": answer.text, "refusal": None}
    choice = {
        "index": 0,
        "message": message,
        "logprobs": None,
        "finish_reason": answer.finish_reason,
    }
    return {
        "id": f"chatcmpl-{answer.head.job_id}",
        "object": "chat.completion",
        "created": answer.head.created,
        "model": answer.head.model,
        "choices": [choice],
        "usage": usage_body(answer.usage),
        "system_fingerprint": None,
    }


class ChatEventWriter(EventWriter):
    """Writes one stream's events; what all of them share is encoded once."""

    def __init__(self, head: Head, *, includes_usage: bool) -> None:
        shared = {
            "id": f"chatcmpl-{head.job_id}",
            "object": "chat.completion.chunk",
            "created": head.created,
            "model": head.model,
            "system_fingerprint": None,
        }
        self._includes_usage = includes_usage
        self._head = b"data: " + json_encode(shared)[:-1]
        self._tail = (b',"usage":null' if includes_usage else b"") + b"}\n\n"
        self._text_head = self._head + b',"choices":[{"index":0,"delta":{"content":'
        self._text_tail = b'},"logprobs":null,"finish_reason":null}]' + self._tail

    def opening(self) -> bytes:
        """Return the event that says who speaks."""
        return self._chunk({"role": "assistant", "content": "", "refusal": None}, None)

    def piece(self, text: str) -> bytes:
        """Return the event of a piece of text."""
        return self._text_head + text_encode(text) + self._text_tail

    def ending(self, answer: Answer) -> bytes:
        """Return why the answer ended, its usage if asked for, and the mark of the end."""
        end = self._chunk({}, answer.finish_reason)
        if self._includes_usage:
            end += self._usage(answer.usage)
        return end + DONE

    def failure(self, error: ApiError) -> bytes:
        """Return the error's event."""
        return error_event(error)

    def _usage(self, usage: Usage | None) -> bytes:
        figures = json_encode({"choices": [], "usage": usage_body(usage)})
        return self._head + b"," + figures[1:] + b"\n\n"

    def _chunk(self, delta: dict[str, Any], finish_reason: str | None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return self._head + b',"choices":' + json_encode([choice]) + self._tail
