"""What this instance has done since it started, in figures. Pure; the time is an argument.

Only counts are kept: no text, no job's name.
"""

from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Final

from motherfluxer_model.core.answer import Ending, Finished, Piece, Refused
from motherfluxer_wire.fields import FailureCode

WAIT_BUCKETS_S: Final = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 60.0)
TOKEN_BUCKETS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
RATE_WINDOW_S: Final = 10.0


class Histogram:
    """How often a figure fell below each bound."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self.sum = 0.0
        self._counts = [0] * (len(bounds) + 1)

    def observe(self, value: float, times: int = 1) -> None:
        """Note a figure, seen so many times."""
        self._counts[bisect_left(self.bounds, value)] += times
        self.sum += value * times

    @property
    def count(self) -> int:
        """How many figures were noted."""
        return sum(self._counts)

    def cumulative(self) -> list[tuple[float, int]]:
        """Give each bound, infinity the last, with how many figures are not above it."""
        return list(zip((*self.bounds, float("inf")), accumulate(self._counts), strict=True))

    def mean(self) -> float | None:
        """Give the mean; None: nothing was noted."""
        return self.sum / self.count if self.count else None


@dataclass(slots=True, eq=False)
class Watch:
    """The times of one running attempt."""

    taken_s: float
    said_s: float | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """When an attempt failed last, and by which code."""

    code: FailureCode
    at_s: float


@dataclass(slots=True)
class Tally:
    """All attempts together."""

    outcomes: Counter[str] = field(default_factory=Counter)
    prompt_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    last_failure: Failure | None = None
    queue: Histogram = field(default_factory=lambda: Histogram(WAIT_BUCKETS_S))
    first_token: Histogram = field(default_factory=lambda: Histogram(WAIT_BUCKETS_S))
    token_gap: Histogram = field(default_factory=lambda: Histogram(TOKEN_BUCKETS_S))
    _watches: set[Watch] = field(default_factory=set)
    _recent: deque[tuple[float, int]] = field(default_factory=deque)

    @property
    def waiting_count(self) -> int:
        """How many attempts have not said anything yet."""
        return sum(watch.said_s is None for watch in self._watches)

    def begin(self, now_s: float) -> Watch:
        """Note that an attempt was handed to the engine."""
        watch = Watch(now_s)
        self._watches.add(watch)
        return watch

    def piece(self, watch: Watch, piece: Piece, now_s: float) -> None:
        """Note a piece of its answer."""
        if watch.said_s is None:
            self.first_token.observe(now_s - watch.taken_s)
        elif piece.tokens:
            self.token_gap.observe((now_s - watch.said_s) / piece.tokens, piece.tokens)
        watch.said_s = now_s
        self.output_tokens += piece.tokens
        self._recent.append((now_s, piece.tokens))

    def release(self, watch: Watch) -> None:
        """Note that the engine is through with an attempt."""
        self._watches.discard(watch)

    def end(self, ending: Ending, now_s: float) -> None:
        """Note how an attempt ended."""
        if isinstance(ending, Refused):
            self.outcomes[ending.code] += 1
            self.last_failure = Failure(ending.code, now_s)
            return
        self.outcomes[ending.reason] += 1
        self._add_usage(ending)

    def tokens_per_s(self, now_s: float) -> float:
        """Give the rate of the last seconds, all attempts together."""
        while self._recent and self._recent[0][0] < now_s - RATE_WINDOW_S:
            self._recent.popleft()
        return round(sum(count for _, count in self._recent) / RATE_WINDOW_S, 2)

    def _add_usage(self, ending: Finished) -> None:
        self.prompt_tokens += ending.usage.prompt_tokens
        self.cached_tokens += ending.usage.cached_tokens or 0
        if ending.timings is not None and ending.timings.queue_ms is not None:
            self.queue.observe(ending.timings.queue_ms / 1000)
