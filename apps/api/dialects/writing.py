"""What the dialects write alike: text in events, usage and errors in OpenAI's form. Pure."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from apps.api.errors import ApiError
from motherfluxer_wire.frames import Usage

DONE: Final = b"data: [DONE]\n\n"

json_encode: Final = msgspec.json.Encoder().encode
# Line ends to some readers of events, which split text by Unicode's rules instead of the format's.
_LINE_ENDS: Final = tuple(
    (char.encode(), b"\\u%04x" % ord(char)) for char in ("\x85", "\u2028", "\u2029")
)


def text_encode(text: str) -> bytes:
    """Return a text as JSON that no reader of events takes for two lines."""
    encoded = json_encode(text)
    return encoded if text.isascii() else _without_line_ends(encoded)


def event_write(kind: str, fields: Mapping[str, Any]) -> bytes:
    """Return an event that bears its kind, as its name and in its data."""
    data = _without_line_ends(json_encode({"type": kind, **fields}))
    return b"event: " + kind.encode("ascii") + b"\ndata: " + data + b"\n\n"


def _without_line_ends(encoded: bytes) -> bytes:
    for char, escape in _LINE_ENDS:
        encoded = encoded.replace(char, escape)
    return encoded


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


def error_event(error: ApiError) -> bytes:
    """Return the event of an error after the stream has begun; OpenAI's clients raise it."""
    return b"event: error\ndata: " + json_encode(error.body) + b"\n\n"
