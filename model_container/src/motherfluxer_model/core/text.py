"""An answer's text as it grows: whole characters, whole tokens, no stop sequence. Pure.

    token ids --decoder--> groups of tokens with whole characters --stops--> pieces

A token whose bytes are half a character waits for the other half; text that may be the beginning
of a stop sequence waits until it is none. What waits is no part of a piece yet, nor is its token.
"""

from collections import deque
from collections.abc import Callable

from motherfluxer_model.core.answer import Piece
from motherfluxer_model.core.stops import StopFinder

Decoder = Callable[[int], str | None]  # gives text once the tokens so far end a character


class AnswerText:
    """Turns token ids into pieces; `told_tokens` counts the tokens whose text was given out."""

    def __init__(self, decode: Decoder, stops: StopFinder) -> None:
        self.is_stopped = False
        self.told_tokens = 0
        self._decode = decode
        self._stops = stops
        self._half: list[int] = []
        self._groups: deque[tuple[tuple[int, ...], str]] = deque()
        self._shown_chars = 0

    def push(self, token_id: int) -> Piece | None:
        """Take in a token; give what can be shown now. Sets `is_stopped` at a stop sequence."""
        self._half.append(token_id)
        text = self._decode(token_id)
        if not text:
            return None
        self._groups.append((tuple(self._half), text))
        self._half.clear()
        stop_at = self._stops.feed(text)
        if stop_at is None:
            return self._release(self._stops.safe_until)
        self.is_stopped = True
        return self._release(stop_at, cut=True)

    def finish(self) -> Piece | None:
        """Give what was held back for a stop sequence that did not come; half characters fall."""
        return self._release(self._shown_chars + sum(len(text) for _, text in self._groups))

    def _release(self, until: int, *, cut: bool = False) -> Piece | None:
        ids: list[int] = []
        texts: list[str] = []
        while self._groups and self._shown_chars + len(self._groups[0][1]) <= until:
            group_ids, text = self._groups.popleft()
            ids += group_ids
            texts.append(text)
            self._shown_chars += len(text)
        tokens = len(ids)
        is_partial = cut and bool(self._groups) and self._shown_chars < until
        if is_partial:  # the stop sequence begins inside a token
            texts.append(self._groups[0][1][: until - self._shown_chars])
            tokens += len(self._groups[0][0])
        if not texts:
            return None
        self.told_tokens += tokens
        return Piece("".join(texts), tokens, None if is_partial else tuple(ids))
