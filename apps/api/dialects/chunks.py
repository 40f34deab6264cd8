"""How chat completions and completions are streamed: in chunks with one choice each. Pure."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, Final

from apps.api.dialects.base import Answer, EventWriter
from apps.api.dialects.writing import DONE, error_event, json_encode, text_encode, usage_body
from apps.api.errors import ApiError

# Stands where a piece's text will, and nowhere else in a chunk.
_MARK: Final = "\0"


class ChunkWriter(EventWriter):
    """Writes one stream's chunks; what all of them share is encoded once."""

    def __init__(self, shared: Mapping[str, Any], *, includes_usage: bool) -> None:
        self._includes_usage = includes_usage
        self._head = b"data: " + json_encode(shared)[:-1] + b","
        self._tail = (b',"usage":null' if includes_usage else b"") + b"}\n\n"
        sample = self.chunk(self.choice(_MARK))
        self._text_head, self._text_tail = sample.split(json_encode(_MARK))

    @abstractmethod
    def choice(self, text: str, finish_reason: str | None = None) -> dict[str, Any]:
        """Return the choice that bears a piece of text, or why the answer ended."""

    def piece(self, text: str) -> bytes:
        """Return the event of a piece of text."""
        return self._text_head + text_encode(text) + self._text_tail

    def ending(self, answer: Answer) -> bytes:
        """Return why the answer ended, its usage if asked for, and the mark of the end."""
        end = self.chunk(self.choice("", answer.finish_reason))
        if self._includes_usage:
            figures = json_encode({"choices": [], "usage": usage_body(answer.usage)})
            end += self._head + figures[1:] + b"\n\n"
        return end + DONE

    def failure(self, error: ApiError) -> bytes:
        """Return the error's event."""
        return error_event(error)

    def chunk(self, choice: Mapping[str, Any]) -> bytes:
        """Return the event of a choice."""
        return self._head + b'"choices":' + json_encode([choice]) + self._tail
