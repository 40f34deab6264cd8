"""Finding stop sequences in a text that arrives piece by piece. Pure."""

from collections.abc import Iterable


class StopFinder:
    """Watches a growing text, the prefix included; positions count new characters only."""

    def __init__(self, stops: Iterable[str], prefix: str) -> None:
        self._stops = [stop for stop in stops if stop]
        self._longest = max((len(stop) for stop in self._stops), default=0)
        # Only the prefix's tail can be the beginning of a stop sequence.
        self._tail = prefix[-(self._longest - 1) :] if self._longest > 1 else ""
        self._offset = -len(self._tail)
        self.is_found = False

    def feed(self, text: str) -> int | None:
        """Take in new text; give the position where the earliest stop sequence begins, if any.

        A stop sequence that begins inside the prefix is reported at position 0.
        """
        if not self._stops:
            self._offset += len(text)
            return None
        self._tail += text
        found = [at for stop in self._stops if (at := self._tail.find(stop)) >= 0]
        if found:
            self.is_found = True
            return max(0, min(found) + self._offset)
        surplus = len(self._tail) - (self._longest - 1)
        if surplus > 0:
            self._tail = self._tail[surplus:]
            self._offset += surplus
        return None

    @property
    def safe_until(self) -> int:
        """How many new characters can be shown: none that may be the beginning of a stop."""
        end = self._offset + len(self._tail)
        held = max((_overlap(self._tail, stop) for stop in self._stops), default=0)
        return max(0, end - held)


def _overlap(text: str, stop: str) -> int:
    """Length of the longest end of `text` that is a true beginning of `stop`."""
    for length in range(min(len(text), len(stop) - 1), 0, -1):
        if text.endswith(stop[:length]):
            return length
    return 0
