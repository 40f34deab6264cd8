"""How much of the waiting prompts a step takes along, so that running answers go on. Pure.

A long prompt is fed by parts. A step costs what it costs to read the weights, and a little more for
each token of a prompt; parts so large that a step lasts a fifth of a second, or twice as long as
without them, cost the running answers no great pause and the machine no speed.
"""

from typing import Final

STEP_S: Final = 0.2  # while others wait for their next token
ALONE_STEP_S: Final = 0.5  # while nobody does: what a cancelled job may still cost
SLOWER_BY: Final = 2.0
FIRST_PART_TOKENS: Final = 256  # before anything was measured
MIN_PART_TOKENS: Final = 64  # fewer hardly shorten a step
MAX_PART_TOKENS: Final = 4096
LEARNED_FROM_TOKENS: Final = 16  # shorter parts measure nothing but noise
WEIGHT_OF_NEW: Final = 0.3


class PromptPace:
    """Learns what a step costs, and what prompts add to it."""

    def __init__(self) -> None:
        self._step_s: float | None = None
        self._token_s: float | None = None

    def part_tokens(self, *, is_alone: bool) -> int:
        """Say how many prompt tokens the next step may take, over all jobs."""
        if self._token_s is None:
            return FIRST_PART_TOKENS
        step_s = self._step_s or 0.0
        added_s = max((ALONE_STEP_S if is_alone else STEP_S), SLOWER_BY * step_s) - step_s
        return max(MIN_PART_TOKENS, min(MAX_PART_TOKENS, int(added_s / self._token_s)))

    def observe(self, tokens: int, seconds: float) -> None:
        """Note how long a step with so many prompt tokens took."""
        if tokens == 0:
            self._step_s = _learn(self._step_s, seconds)
        elif tokens >= LEARNED_FROM_TOKENS:
            added_s = max(seconds - (self._step_s or 0.0), seconds / 10)
            self._token_s = _learn(self._token_s, added_s / tokens)


def _learn(old: float | None, new: float) -> float:
    return new if old is None else old + WEIGHT_OF_NEW * (new - old)


def share_out(waiting: list[int], budget: int) -> list[int]:
    """Share a budget of tokens among prompts that still need `waiting` tokens each.

    Each gets the same, the short ones no more than they need; what they leave goes to the others.
    Every prompt gets one token at least.
    """
    shares = [0] * len(waiting)
    by_need = sorted(range(len(waiting)), key=lambda i: waiting[i])
    for rank, i in enumerate(by_need):
        fair = budget // (len(by_need) - rank)
        shares[i] = min(waiting[i], max(fair, 1))
        budget = max(0, budget - shares[i])
    return shares
