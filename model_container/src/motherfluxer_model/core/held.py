"""Text that comes in ready pieces: whole characters and no stop sequence go out. Pure."""

import re
from collections import deque
from typing import Final

from motherfluxer_model.core.answer import Piece
from motherfluxer_model.core.stops import StopFinder

# JSON's escapes write a character beyond the first 65,536 as two halves.
_HALVES: Final = re.compile("[\ud800-\udfff]")
_FIRST_HALF: Final = re.compile("[\ud800-\udbff]\\Z")


class HeldText:
    """Holds back what may begin a stop sequence, and the first half of a character."""

    def __init__(self, stops: StopFinder) -> None:
        self.is_stopped = False
        self.told_tokens = 0
        self._stops = stops
        self._half = ""
        self._groups: deque[tuple[str, int]] = deque()
        self._shown_chars = 0

    def push(self, text: str, tokens: int) -> Piece | None:
        """Take in text; give what can be shown now. Sets `is_stopped` at a stop sequence."""
        text = self._half + text
        self._half = text[-1] if _FIRST_HALF.search(text) else ""
        text = _mend(text[: len(text) - len(self._half)])
        self._groups.append((text, tokens))
        stop_at = self._stops.feed(text)
        if stop_at is None:
            return self._release(self._stops.safe_until)
        self.is_stopped = True
        return self._release(stop_at, cut=True)

    def finish(self) -> Piece | None:
        """Give what was held back for a stop sequence that did not come."""
        return self._release(self._shown_chars + sum(len(text) for text, _ in self._groups))

    def _release(self, until: int, *, cut: bool = False) -> Piece | None:
        texts: list[str] = []
        tokens = 0
        while self._groups and self._shown_chars + len(self._groups[0][0]) <= until:
            text, count = self._groups.popleft()
            texts.append(text)
            tokens += count
            self._shown_chars += len(text)
        if cut and self._groups and self._shown_chars < until:  # it begins inside a piece
            text, count = self._groups[0]
            texts.append(text[: until - self._shown_chars])
            tokens += count
        joined = "".join(texts)
        if not joined:
            if tokens:  # nothing to show yet: counted with the next text
                self._groups.appendleft(("", tokens))
            return None
        self.told_tokens += tokens
        return Piece(joined, tokens)


def _mend(text: str) -> str:
    """Join halves of characters; what stays half is replaced, for no frame can carry it."""
    if text.isascii() or not _HALVES.search(text):
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
