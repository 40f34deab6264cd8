"""Messages as they are answered: a whole one, the events of a streamed one, an error. Pure."""

from typing import Any, ClassVar, Final

from apps.api.dialects.base import Answer, EventWriter, Head
from apps.api.dialects.writing import event_write, text_encode
from apps.api.errors import ApiError
from motherfluxer_wire.frames import Usage

# A text that ended an answer is cut off by the instance, which does not tell of it.
_STOP_REASONS: Final = {"stop": "end_turn", "length": "max_tokens"}
_ERROR_TYPES: Final = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
}


def message_body(answer: Answer) -> dict[str, Any]:
    """Return a whole message."""
    return _message(answer.head) | {
        "content": [{"type": "text", "text": answer.text}],
        "stop_reason": _STOP_REASONS[answer.finish_reason],
        "usage": _usage(answer.usage),
    }


def messages_error_body(error: ApiError, request_id: str) -> dict[str, Any]:
    """Return an error as Anthropic's clients read it; our own code stands in its details."""
    kind = _ERROR_TYPES.get(error.status)
    told: dict[str, Any] = {
        "type": kind or ("invalid_request_error" if error.status < 500 else "api_error"),
        "message": error.message,
        "details": {"error_code": error.code.value, "param": error.param},
    }
    return {"type": "error", "error": told, "request_id": request_id}


def _message(head: Head) -> dict[str, Any]:
    return {
        "id": f"msg_{head.job_id}",
        "type": "message",
        "role": "assistant",
        "model": head.model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": _usage(None),
    }


def _usage(usage: Usage | None) -> dict[str, Any]:
    """Return the count of tokens, of the prompt those apart that were held already."""
    told = usage or Usage(prompt_tokens=0, completion_tokens=0)
    cached = min(told.cached_tokens or 0, told.prompt_tokens)
    return {
        "input_tokens": told.prompt_tokens - cached,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": cached,
        "output_tokens": told.completion_tokens,
    }


class MessageEventWriter(EventWriter):
    """Writes one stream's events."""

    keep_alive: ClassVar[bytes] = event_write("ping", {})

    def __init__(self, head: Head) -> None:
        self._head = head
        self._has_begun = False
        delta = {"index": 0, "delta": {"type": "text_delta", "text": 0}}
        self._delta_head = event_write("content_block_delta", delta).removesuffix(b"0}}\n\n")

    def waiting(self) -> bytes:
        """Return the event that says that a message is on its way, and a ping."""
        return self._begun() + self.keep_alive

    def opening(self) -> bytes:
        """Return the events that say that a text comes."""
        block = {"type": "text", "text": ""}
        opened = event_write("content_block_start", {"index": 0, "content_block": block})
        return self._begun() + opened

    def piece(self, text: str) -> bytes:
        """Return the event of a piece of text."""
        return self._delta_head + text_encode(text) + b"}}\n\n"

    def ending(self, answer: Answer) -> bytes:
        """Return the events that close the text, say why it ended, and close the message."""
        delta = {"stop_reason": _STOP_REASONS[answer.finish_reason], "stop_sequence": None}
        return (
            event_write("content_block_stop", {"index": 0})
            + event_write("message_delta", {"delta": delta, "usage": _usage(answer.usage)})
            + event_write("message_stop", {})
        )

    def failure(self, error: ApiError) -> bytes:
        """Return the error's event; Anthropic's clients raise it."""
        return event_write("error", messages_error_body(error, self._head.request_id))

    def _begun(self) -> bytes:
        """Return the first event, unless it was sent while the stream waited."""
        if self._has_begun:
            return b""
        self._has_begun = True
        return event_write("message_start", {"message": _message(self._head)})
