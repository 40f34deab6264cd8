"""Incremental decoding with the context that came before, so that joined pieces are the text."""

from collections.abc import Sequence
from typing import Any, Final

from tokenizers.decoders import DecodeStream

from motherfluxer_model.core.text import Decoder

CONTEXT_TOKENS: Final = 8  # enough for any character and any blank that hangs on the token before
REPLACEMENT: Final = "\ufffd"


def make_decoder(tokenizer: Any, prefix_ids: Sequence[int]) -> Decoder:
    """Make a decoder that goes on after `prefix_ids`; special tokens give no text."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        return WindowDecoder(tokenizer, prefix_ids)
    stream = DecodeStream(ids=list(prefix_ids), skip_special_tokens=True)

    def decode(token_id: int) -> str | None:
        text: str | None = stream.step(backend, token_id)
        return text

    return decode


class WindowDecoder:
    """The same for tokenizers without a fast back end: decodes a short window twice."""

    def __init__(self, tokenizer: Any, prefix_ids: Sequence[int]) -> None:
        self._tokenizer = tokenizer
        self._before = list(prefix_ids)[-CONTEXT_TOKENS:]
        self._new: list[int] = []

    def __call__(self, token_id: int) -> str | None:
        """Take in a token; give text once it ends a character."""
        self._new.append(token_id)
        before = self._text(self._before)
        both = self._text(self._before + self._new)
        if both.endswith(REPLACEMENT) or len(both) <= len(before):
            return None
        self._before = (self._before + self._new)[-CONTEXT_TOKENS:]
        self._new.clear()
        return both[len(before) :]

    def _text(self, ids: list[int]) -> str:
        text = self._tokenizer.decode(
            ids, skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return str(text)
