"""What a server says in its stream: events become pieces, and the answer's end. Pure."""

import json
from dataclasses import dataclass
from typing import Any, Final

from motherfluxer_model.core.answer import Piece
from motherfluxer_model.core.events import Event
from motherfluxer_model.core.held import HeldText
from motherfluxer_model.core.mishaps import broken, judge_event
from motherfluxer_model.core.stops import StopFinder
from motherfluxer_model.errors import GenerationError
from motherfluxer_wire.fields import FinishReason

END_MARK: Final = "[DONE]"
_LENGTH: Final = frozenset({"length", "max_tokens", "model_length"})


@dataclass(frozen=True, slots=True)
class Told:
    """The tokens that the server counted; None: it does not tell."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cached_tokens: int | None = None


class Overlap:
    """Drops what the server says again of the beginning that it was given."""

    def __init__(self, echo: str = "", blanks: str = "") -> None:
        self._echo = echo
        self._blanks = blanks

    def drop(self, text: str) -> str:
        """Give what is new. Raises GenerationError where another beginning comes back."""
        if self._echo:
            length = min(len(text), len(self._echo))
            if text[:length] != self._echo[:length]:
                raise broken("the server began another answer instead of going on")
            self._echo, text = self._echo[length:], text[length:]
        while self._blanks and text:
            if text[0] != self._blanks[0]:
                self._blanks = ""
                break
            self._blanks, text = self._blanks[1:], text[1:]
        return text


class Said:
    """One answer as it comes in."""

    def __init__(self, stops: StopFinder, most_tokens: int, overlap: Overlap | None = None) -> None:
        self.told = Told()
        self.is_over = False  # nothing more is wanted: a stop sequence, the limit, the end mark
        self.reason: FinishReason | None = None  # None: it did not end
        self.is_thinking = False  # it told of thoughts, which are no part of the answer
        self._text = HeldText(stops)
        self._overlap = overlap or Overlap()
        self._most_tokens = most_tokens
        self._tokens = 0

    @property
    def tokens(self) -> int:
        """How many tokens were generated: the server's count, else what was counted here."""
        told = self.told.completion_tokens
        return self._tokens if told is None else max(told, self._text.told_tokens)

    def take(self, event: Event) -> Piece | None:
        """Take in an event; give what can be shown now. Raises GenerationError for an error."""
        if event.data.strip() == END_MARK:
            self.is_over = True
            self.reason = self.reason or "stop"
            return None
        try:
            message = _read(event)
        except GenerationError:
            if self.reason is None:
                raise
            self.is_over = True  # behind the answer's end nothing matters
            return None
        self._note_usage(message.get("usage"))
        choices = message.get("choices")
        if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
            return None
        return self._take_choice(choices[0])

    def finish(self) -> Piece | None:
        """Give what was held back for a stop sequence that did not come."""
        return None if self._text.is_stopped else self._text.finish()

    def _take_choice(self, choice: dict[str, Any]) -> Piece | None:
        reason = choice.get("finish_reason")
        if reason:
            self.reason = "length" if reason in _LENGTH else "stop"
        text = _find_text(choice)
        if text is None:
            thoughts = _dict(choice.get("delta"))
            self.is_thinking |= bool(thoughts.get("reasoning_content") or thoughts.get("reasoning"))
            return None
        if self._tokens >= self._most_tokens and self.told.completion_tokens is None:
            self.is_over, self.reason = True, "length"  # the server knows no limit
            return None
        new = self._overlap.drop(text)
        piece = self._text.push(new, self._count_tokens()) if new else None
        if self._text.is_stopped:
            self.is_over, self.reason = True, "stop"
        return piece

    def _count_tokens(self) -> int:
        """Say how many tokens a text had: one, where the server does not count as it goes."""
        counted = self.told.completion_tokens
        new = 1 if counted is None else max(0, counted - self._tokens)
        self._tokens += new
        return new

    def _note_usage(self, usage: object) -> None:
        told = _dict(usage)
        if told:
            details = _dict(told.get("prompt_tokens_details"))
            self.told = Told(
                _count(told.get("prompt_tokens")),
                _count(told.get("completion_tokens")),
                _count(details.get("cached_tokens")),
            )


def _read(event: Event) -> dict[str, Any]:
    if event.kind == "error":
        raise judge_event(event.data)
    try:
        message = json.loads(event.data)
    except (ValueError, RecursionError):
        if '"error"' in event.data:
            raise judge_event(event.data) from None
        raise broken("the server sent something that is no JSON") from None
    if not isinstance(message, dict):
        raise broken("the server sent something that is no answer")
    if message.get("error"):
        raise judge_event(event.data)
    return message


def _find_text(choice: dict[str, Any]) -> str | None:
    """Find the text of a chat's delta, of a completion, or of a server that does not stream."""
    for holder in (_dict(choice.get("delta")), _dict(choice.get("message")), choice):
        text = holder.get("content") or holder.get("text")
        if isinstance(text, str) and text:
            return text
    return None


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and value >= 0 else None
