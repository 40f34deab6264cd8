"""Choosing the next token. A draw depends on the seed and the position in the answer alone.

So an answer that another instance goes on with, after the same tokens, goes on the same way.
"""

import hashlib
import secrets
from collections import Counter
from collections.abc import Iterable
from typing import Final

import torch

from motherfluxer_wire.frames import Sampling

GREEDY_BELOW: Final = 1e-4  # a temperature so low that dividing by it says nothing new


def draw_for(seed: int, position: int) -> float:
    """Give a number from [0, 1) for this seed and this position in the answer."""
    digest = hashlib.blake2b(f"{seed}:{position}".encode(), digest_size=8).digest()
    return (int.from_bytes(digest, "big") >> 11) * 2.0**-53


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

    def choose(self, logits: torch.Tensor) -> int:
        """Choose the next token from one row of logits. Raises ValueError where they are spoilt."""
        logits = self._penalise(logits)
        is_greedy = self._temperature < GREEDY_BELOW
        token = int(logits.argmax()) if is_greedy else self._draw(logits)
        if not torch.isfinite(logits[token]):
            raise ValueError("the model's output is not a number")
        self._counts[token] += 1
        self._position += 1
        return token

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
            ranked, order = chances.sort(descending=True, stable=True)
            # A token stays while those above it do not yet make up top_p; the first always does.
            outside = ranked.cumsum(-1) - ranked >= self._top_p
            chances[order[outside]] = 0.0
        # In the order of the vocabulary: small differences of rounding move few borders.
        borders = chances.cumsum(-1)
        goal = draw_for(self._seed, self._position) * float(borders[-1])
        token = int(torch.searchsorted(borders, goal, right=True))
        return min(token, int(chances.nonzero()[-1]))
