"""Choosing the next token. A draw depends on the seed and the position in the answer alone.

So an answer that another instance goes on with, after the same tokens, goes on the same way.
"""

import hashlib
import math
import secrets
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

import torch

from motherfluxer_wire.frames import Sampling

FEW_TOKENS: Final = 256
GREEDY_BELOW: Final = 1e-4  # a temperature so low that dividing by it says nothing new


def draw_for(seed: int, position: int) -> float:
    """Give a number from [0, 1) for this seed and this position in the answer."""
    digest = hashlib.blake2b(f"{seed}:{position}".encode(), digest_size=8).digest()
    return (int.from_bytes(digest, "big") >> 11) * 2.0**-53


class SpoiltLogitsError(ValueError):
    """The model's output is not a number."""

    def __init__(self) -> None:
        super().__init__("the model's output is not a number")


class Sampler:
    """Chooses tokens for one answer; `told` are the tokens it already holds."""

    def __init__(self, sampling: Sampling, told: Iterable[int]) -> None:
        self._temperature = sampling.temperature or 0.0
        self._top_p = 1.0 if sampling.top_p is None else sampling.top_p
        self._frequency = sampling.frequency_penalty or 0.0
        self._presence = sampling.presence_penalty or 0.0
        self._seed = secrets.randbits(63) if sampling.seed is None else sampling.seed
        self._counts = Counter(told)
        self._position = self._counts.total()

    @property
    def is_plain(self) -> bool:
        """Whether the likeliest token is taken, whatever was said before."""
        return self._temperature < GREEDY_BELOW and not (self._frequency or self._presence)

    def choose(self, logits: torch.Tensor) -> int:
        """Choose the next token from one row of logits. Raises SpoiltLogitsError."""
        logits = self._penalise(logits)
        is_greedy = self._temperature < GREEDY_BELOW
        token = int(logits.argmax()) if is_greedy else self._draw(logits)
        if not torch.isfinite(logits[token]):
            raise SpoiltLogitsError
        self.note(token)
        return token

    def note(self, token: int) -> None:
        """Count a chosen token."""
        self._counts[token] += 1
        self._position += 1

    def _penalise(self, logits: torch.Tensor) -> torch.Tensor:
        if not (self._frequency or self._presence) or not self._counts:
            return logits
        ids = torch.tensor(list(self._counts), device=logits.device)
        counts = torch.tensor(list(self._counts.values()), device=logits.device, dtype=logits.dtype)
        logits = logits.clone()
        logits[ids] -= self._frequency * counts + self._presence
        return logits

    def _draw(self, logits: torch.Tensor) -> int:
        chances = torch.softmax(logits.double() / self._temperature, dim=-1)
        if self._top_p < 1.0:
            chances = _likeliest(chances, self._top_p)
        # In the order of the vocabulary: small differences of rounding move few borders.
        borders = chances.cumsum(-1)
        goal = draw_for(self._seed, self._position) * float(borders[-1])
        token = int(torch.searchsorted(borders, goal, right=True))
        return min(token, int(chances.nonzero()[-1]))


def choose_all(logits: torch.Tensor, samplers: Sequence[Sampler]) -> list[int | None]:
    """Choose one token for each row of logits; None where a row is spoilt."""
    best, tokens = logits.max(dim=-1)
    chosen: list[int | None] = [
        token if math.isfinite(value) else None
        for value, token in zip(best.tolist(), tokens.tolist(), strict=True)
    ]
    for i, (token, sampler) in enumerate(zip(chosen, samplers, strict=True)):
        if sampler.is_plain and token is not None:
            sampler.note(token)
        elif not sampler.is_plain:
            chosen[i] = _choose_or_none(logits[i], sampler)
    return chosen


def _choose_or_none(row: torch.Tensor, sampler: Sampler) -> int | None:
    try:
        return sampler.choose(row)
    except SpoiltLogitsError:
        return None


def _likeliest(chances: torch.Tensor, top_p: float) -> torch.Tensor:
    """Leave the likeliest tokens that make up `top_p`, the first always; the others get 0.

    A token stays while those above it do not make up `top_p` yet. A few of them nearly always do,
    and are found without ranking a whole vocabulary.
    """
    ranked, order = chances.topk(min(FEW_TOKENS, len(chances)))
    if float(ranked.sum()) < top_p:
        ranked, order = chances.sort(descending=True, stable=True)
    inside = ranked.cumsum(-1) - ranked < top_p
    left = torch.zeros_like(chances)
    left[order[inside]] = ranked[inside]
    return left
