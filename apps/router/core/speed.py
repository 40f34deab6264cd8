"""How fast an instance is with a model, learned from what it did. Pure.

Time to the first token = prefill x (prompt tokens that are new + OVERHEAD_TOKENS) x crowd
Time per token          = decode x crowd
crowd                   = 1 + CROWDING x (other jobs on the instance)

`prefill` and `decode` are seconds per token of an instance that does nothing else.
"""

from dataclasses import dataclass, field
from typing import Final

OVERHEAD_TOKENS: Final = 50
"""What a request costs before its first prompt token is read, in prompt tokens."""

CROWDING: Final = 0.12
"""By how much each further job slows the others; engines that batch: 0.05 to 0.2. What is more
shows up as a slower instance."""

_ALPHA: Final = 0.3
"""Weight of the newest sample, as in C3 (NSDI'15)."""


@dataclass(slots=True)
class Estimate:
    """A mean and a variance that follow recent samples, exponentially weighted."""

    mean: float = 0.0
    variance: float = 0.0
    count: int = 0

    def add(self, sample: float) -> None:
        """Take in a sample. The first one is the mean, half of it the deviation (RFC 6298)."""
        if self.count == 0:
            self.mean, self.variance = sample, (sample / 2) ** 2
        else:
            difference = sample - self.mean
            self.mean += _ALPHA * difference
            self.variance = (1 - _ALPHA) * (self.variance + _ALPHA * difference**2)
        self.count += 1

    @property
    def deviation(self) -> float:
        """The standard deviation by the mean; 0 before any sample."""
        return float(self.variance**0.5 / self.mean) if self.mean > 0 else 0.0


@dataclass(slots=True)
class Speed:
    """One instance with one model. Both estimates are in seconds per token, uncrowded."""

    prefill: Estimate = field(default_factory=Estimate)
    decode: Estimate = field(default_factory=Estimate)
    used_at: float = 0.0

    def saw_first_token(self, *, took_s: float, new_tokens: float, others: int) -> None:
        """Learn from a first token."""
        self.prefill.add(took_s / ((new_tokens + OVERHEAD_TOKENS) * crowd(others)))

    def saw_tokens(self, *, took_s: float, tokens: int, others: int) -> None:
        """Learn from tokens that came one after another."""
        self.decode.add(took_s / (tokens * crowd(others)))


def crowd(others: int) -> float:
    """Return by how much `others` further jobs slow each job down."""
    return 1 + CROWDING * others


def first_token_s(prefill_s: float, new_tokens: float, others: int) -> float:
    """Return the expected time to the first token in seconds."""
    return prefill_s * (new_tokens + OVERHEAD_TOKENS) * crowd(others)
