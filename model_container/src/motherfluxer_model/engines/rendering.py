"""From a conversation to token ids: the model's chat template, or plain words for base models.

What a user types is text: special tokens spelled out in a message are encoded as plain text.
"""

import copy
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from jinja2 import TemplateError

from motherfluxer_model.engines.markers import Marker, Markers
from motherfluxer_model.errors import GenerationError
from motherfluxer_wire.frames import Message

# Phi-2's own question-and-answer form; other base models understand it too.
PLAIN_STOPS: Final = ("\nInstruct:",)
_PLAIN_NAMES: Final = {"system": "", "user": "Instruct: ", "assistant": "Output: "}


@dataclass(frozen=True, slots=True)
class Prompt:
    """A rendered conversation that ends where the answer begins."""

    ids: list[int]
    stops: tuple[str, ...] = ()


class Renderer:
    """Renders conversations for one tokenizer; not for use by two threads at once."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = copy.deepcopy(tokenizer)  # encoding changes flags in the tokenizer
        template = self._tokenizer.chat_template
        self.has_template = bool(template)
        added = self._tokenizer.added_tokens_decoder
        special = [_marker(i, token) for i, token in added.items() if token.special]
        # A turn's mark that is not declared special is one all the same where a user types it.
        turn = [
            _marker(i, token)
            for i, token in added.items()
            if not token.special and token.content.strip() and token.content in str(template)
        ]
        self._turn_marks = [marker.text for marker in turn]
        self._special = Markers(special)
        self._all = Markers(special + turn)
        self._probe = special[0] if special else None
        self._needs_newline = self._prepends_blank()

    def render(self, messages: Sequence[Message]) -> Prompt:
        """Give the ids of a conversation and its generation prompt.

        Raises GenerationError where the template refuses it.
        """
        if not messages:
            raise GenerationError("bad_request", "a conversation needs at least one message")
        if not self.has_template:
            return Prompt(self._render_plain(messages), PLAIN_STOPS)
        try:
            return Prompt(self._render_template(messages))
        except TemplateError as error:
            words = f"the model's chat template refuses this: {error}"
            raise GenerationError("bad_request", words[:500]) from error

    def encode_answer(self, text: str) -> list[int]:
        """Encode text, say the beginning of an answer, as text only."""
        ids = self._tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True)
        return list(ids)

    def _render_plain(self, messages: Sequence[Message]) -> list[int]:
        lines = [f"{_PLAIN_NAMES[message.role]}{message.content}\n" for message in messages]
        text = "".join([*lines, "Output:"])
        return list(self._tokenizer.encode(text, split_special_tokens=True))

    def _render_template(self, messages: Sequence[Message]) -> list[int]:
        stand_ins = _StandIns()
        turns = []
        for message in messages:
            # An assistant's turn may hold what its template makes of it, say its thoughts.
            marks = self._special if message.role == "assistant" else self._all
            content = marks.defuse(message.content, stand_ins.put)
            turns.append({"role": message.role, "content": content})
        render = self._tokenizer.apply_chat_template
        if not stand_ins.originals:
            return list(render(turns, add_generation_prompt=True, return_dict=False))
        rendered = render(turns, add_generation_prompt=True, tokenize=False)
        ids: list[int] = []
        for part in self._special.split(rendered):
            if isinstance(part, Marker):
                ids.append(part.token_id)
                continue
            for text in stand_ins.restore(part.text, self._turn_marks):
                ids += self._encode_run(text, is_first=not ids)
        return ids

    def _encode_run(self, text: str, *, is_first: bool) -> list[int]:
        if is_first or not self._needs_newline:
            return self.encode_answer(text)
        # The tokenizer puts a blank before a text's first word: begin with a line break instead.
        newline, ids = self.encode_answer("\n"), self.encode_answer("\n" + text)
        begins_so = ids[: len(newline)] == newline
        return ids[len(newline) :] if begins_so else self.encode_answer(text)

    def _prepends_blank(self) -> bool:
        if self._probe is None:
            return False
        joined = self._tokenizer.encode(f"{self._probe.text}a", add_special_tokens=False)
        alone = self._tokenizer.encode("a", add_special_tokens=False)
        return list(joined) != [self._probe.token_id, *alone]


def _marker(token_id: int, token: Any) -> Marker:
    return Marker(str(token.content), int(token_id), bool(token.lstrip), bool(token.rstrip))


class _StandIns:
    """Unguessable, numbered texts in the place of what must not be obeyed."""

    def __init__(self) -> None:
        self.originals: list[str] = []
        self._stem = f"mf{secrets.token_hex(16)}x"

    def put(self, original: str) -> str:
        self.originals.append(original)
        return f"{self._stem}{len(self.originals) - 1}y"

    def restore(self, text: str, turn_marks: Sequence[str]) -> list[str]:
        """Put back what stood there, cut so that no turn mark is left in one piece."""
        for number, original in enumerate(self.originals):
            is_mark = any(mark in original for mark in turn_marks)
            whole = f"{original[0]}{self._stem}{original[1:]}" if is_mark else original
            text = text.replace(f"{self._stem}{number}y", whole)
        return text.split(self._stem)
