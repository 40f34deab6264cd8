"""The last effects, kept so that whoever takes over can write them again. Pure."""

from collections import deque
from collections.abc import Iterable
from typing import Final

from apps.router.apart.letter_codec import encode_letter
from apps.router.apart.numbering import KEPT_S, batch_payload
from apps.router.core.cluster import Addressed
from apps.router.core.effects import Effect

_LONGEST_STEP_S: Final = 1.0


class Window:
    """Effects in order. Their age counts while a router acts: only then is any of it written."""

    def __init__(self) -> None:
        self._kept: deque[tuple[float, Addressed]] = deque()
        self._lived_s = 0.0
        self._ticked_at = 0.0
        self._unwritten: list[Addressed] = []

    def add(self, told: Iterable[Addressed], ticked_at: float) -> list[Addressed]:
        """Keep effects since the active router's last tick; return those that are its own."""
        self._lived_s += min(max(ticked_at - self._ticked_at, 0.0), _LONGEST_STEP_S)
        self._ticked_at = ticked_at
        own = []
        for one in told:
            self._kept.append((self._lived_s, one))
            if one.gateway is None:
                own.append(one)
            else:
                self._unwritten.append(one)
        while self._kept and self._kept[0][0] < self._lived_s - KEPT_S:
            self._kept.popleft()
        return own

    def unwritten(self) -> list[tuple[str, int, bytes]]:
        """Return for each gateway the first number and the letters that it was not yet told."""
        return _batches(self._unwritten)

    def written(self) -> None:
        """Note that all of it is written."""
        self._unwritten = []

    def again(self) -> None:
        """Have all that is kept written once more."""
        self._unwritten = [one for _, one in self._kept if one.gateway is not None]

    def own(self) -> list[Effect]:
        """Return what is kept of the router's own."""
        return [one.effect for _, one in self._kept if one.gateway is None]


def _batches(told: Iterable[Addressed]) -> list[tuple[str, int, bytes]]:
    by_gateway: dict[str, list[Addressed]] = {}
    for one in told:
        by_gateway.setdefault(one.gateway or "", []).append(one)
    return [
        (gateway, ones[0].number, batch_payload([encode_letter(one.effect) for one in ones]))
        for gateway, ones in by_gateway.items()
    ]
