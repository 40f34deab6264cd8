"""Answers in OpenAI's form: a whole completion, or the events of a streamed one. Pure."""

from typing import Any, Final

import msgspec

from motherfluxer_wire.frames import Usage

KEEP_ALIVE: Final = b": keep-alive\n\n"
DONE: Final = b"data: [DONE]\n\n"

_encode: Final = msgspec.json.Encoder().encode
# Line ends to some readers of events, which split text by Unicode's rules instead of the format's.
_LINE_ENDS: Final = tuple(
    (char.encode(), b"\\u%04x" % ord(char)) for char in ("\x85", "\u2028", "\u2029")
)


def completion_body(
    *, job_id: str, model: str, created: int, text: str, finish_reason: str, usage: Usage | None
) -> dict[str, Any]:
    """Return a whole answer."""
    message = {"role": "assistant", "content": text, "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish_reason}
    return {
        "id": f"chatcmpl-{job_id}",
        "object": "chat.completion",
        "created": created,
        "model": model,
        "choices": [choice],
        "usage": usage_body(usage),
        "system_fingerprint": None,
    }


def usage_body(usage: Usage | None) -> dict[str, Any] | None:
    """Return the count of tokens; None when the instance has not told it."""
    if usage is None:
        return None
    body: dict[str, Any] = {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
    }
    if usage.cached_tokens is not None:
        body["prompt_tokens_details"] = {"cached_tokens": usage.cached_tokens}
    return body


def error_event(body: dict[str, Any]) -> bytes:
    """Return the event of an error after the stream has begun; OpenAI's clients raise it."""
    return b"event: error\ndata: " + _encode(body) + b"\n\n"


class ChunkWriter:
    """Writes one stream's events; what all of them share is encoded once."""

    def __init__(self, *, job_id: str, model: str, created: int, includes_usage: bool) -> None:
        shared = {
            "id": f"chatcmpl-{job_id}",
            "object": "chat.completion.chunk",
            "created": created,
            "model": model,
            "system_fingerprint": None,
        }
        self._includes_usage = includes_usage
        self._head = b"data: " + _encode(shared)[:-1]
        self._tail = (b',"usage":null' if includes_usage else b"") + b"}\n\n"
        self._text_head = self._head + b',"choices":[{"index":0,"delta":{"content":'
        self._text_tail = b'},"logprobs":null,"finish_reason":null}]' + self._tail

    def opening(self) -> bytes:
        """Return the event that says who speaks."""
        return self._chunk({"role": "assistant", "content": "", "refusal": None}, None)

    def piece(self, text: str) -> bytes:
        """Return the event of a piece of text: the one path that runs for every token."""
        encoded = _encode(text)
        if not text.isascii():
            for char, escape in _LINE_ENDS:
                encoded = encoded.replace(char, escape)
        return self._text_head + encoded + self._text_tail

    def ending(self, finish_reason: str, usage: Usage | None) -> bytes:
        """Return the last events of a whole answer."""
        end = self._chunk({}, finish_reason)
        if self._includes_usage:
            figures = _encode({"choices": [], "usage": usage_body(usage)})
            end += self._head + b"," + figures[1:] + b"\n\n"
        return end + DONE

    def _chunk(self, delta: dict[str, Any], finish_reason: str | None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return self._head + b',"choices":' + _encode([choice]) + self._tail
