"""Telling a template's own special tokens from those a user typed. Pure.

A conversation is rendered with unguessable stand-ins where a message's content spells a special
token. What the tokenizer would obey in the rendered text is then the template's own; the runs of
text between are encoded as plain text, each as one piece, after the stand-ins were put back.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Marker:
    """A special token: its text, its id, and whether it swallows the blanks around it."""

    text: str
    token_id: int
    strips_left: bool = False
    strips_right: bool = False


@dataclass(frozen=True, slots=True)
class Run:
    """Plain text between two special tokens."""

    text: str


class Markers:
    """All special tokens of one tokenizer."""

    def __init__(self, markers: Iterable[Marker]) -> None:
        self._by_text = {marker.text: marker for marker in markers if marker.text}
        # Longest first: of two that begin alike the tokenizer takes the longer one.
        longest_first = sorted(self._by_text, key=len, reverse=True)
        self._found = _alternatives(longest_first)
        begun = {text[:end] for text in longest_first for end in range(1, len(text))}
        ended = {text[at:] for text in longest_first for at in range(1, len(text))}
        self._begins = re.compile(rf"(?:{_alternatives(ended).pattern})") if ended else None
        self._ends = re.compile(rf"(?:{_alternatives(begun).pattern})\Z") if begun else None

    def find(self, text: str) -> list[tuple[int, int]]:
        """Give the spans of `text` that must not reach the tokenizer's own search.

        These are special tokens spelled out, and a beginning or end of one at the text's rim,
        which the template's next or last words could complete.
        """
        spans = [match.span() for match in self._found.finditer(text)] if self._by_text else []
        if self._begins and (match := self._begins.match(text)):
            spans.append(match.span())
        if self._ends and (match := self._ends.search(text)):
            spans.append(match.span())
        return _merged(spans)

    def defuse(self, text: str, stand_in: Callable[[str], str]) -> str:
        """Put `stand_in(what stood there)` in the place of each span that `find` gives."""
        parts, last = [], 0
        for start, end in self.find(text):
            parts += [text[last:start], stand_in(text[start:end])]
            last = end
        return "".join([*parts, text[last:]])

    def split(self, rendered: str) -> list[Marker | Run]:
        """Cut a rendered text at the special tokens in it."""
        parts: list[Marker | Run] = []
        last, strips = 0, False
        for match in self._found.finditer(rendered) if self._by_text else ():
            marker = self._by_text[match.group()]
            text = rendered[last : match.start()]
            text = text.lstrip() if strips else text
            text = text.rstrip() if marker.strips_left else text
            parts += [Run(text), marker] if text else [marker]
            last, strips = match.end(), marker.strips_right
        tail = rendered[last:].lstrip() if strips else rendered[last:]
        return [*parts, Run(tail)] if tail else parts


def _alternatives(texts: Iterable[str]) -> re.Pattern[str]:
    longest_first = sorted(texts, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, longest_first)))


def _merged(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for start, end in sorted(set(spans)):
        if merged and start < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged
