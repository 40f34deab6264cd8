"""Reproducible draws: the n-th draw of a seed is always the same number. Pure."""

from typing import Final

_MASK: Final = (1 << 64) - 1


def draw(seed: int, number: int) -> float:
    """Return the `number`-th draw of a seed, evenly from [0, 1).

    SplitMix64 (Steele, Lea and Flood, OOPSLA 2014), whose state is the seed plus a multiple of
    the golden gamma, so that any draw is found without the ones before it.
    """
    z = (seed + (number + 1) * 0x9E3779B97F4A7C15) & _MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return ((z ^ (z >> 31)) >> 11) / (1 << 53)
