"""Letters are numbered, kept for a while and written again: each arrives once, in order. Pure."""

from collections import deque
from dataclasses import dataclass, field
from typing import Final

# A reader is never further behind than this while Redis loses what it has not read.
KEPT_S: Final = 10.0
_ARRAY_32: Final = b"\xdd"


@dataclass(frozen=True, slots=True)
class Batch:
    """Letters that are written as one: `payload` is a msgpack array of them."""

    first: int
    payload: bytes


def batch_payload(parts: list[bytes]) -> bytes:
    """Join letters that are encoded each by itself."""
    return b"".join((_ARRAY_32, len(parts).to_bytes(4, "big"), *parts))


@dataclass(slots=True)
class Outgoing:
    """What goes to one reader. `waiting` is not yet in a batch; `size_bytes`: all to be written."""

    next_number: int = 0
    waiting: list[bytes] = field(default_factory=list)
    unwritten: deque[Batch] = field(default_factory=deque)
    kept: deque[tuple[float, Batch]] = field(default_factory=deque)
    size_bytes: int = 0

    def put(self, letter: bytes) -> None:
        """Have a letter written with the next batch."""
        self.waiting.append(letter)
        self.size_bytes += len(letter)

    def batches(self) -> list[Batch]:
        """Return all that is to be written now, in order."""
        if self.waiting:
            payload = batch_payload(self.waiting)
            self.size_bytes += len(payload) - sum(map(len, self.waiting))
            self.unwritten.append(Batch(self.next_number, payload))
            self.next_number += len(self.waiting)
            self.waiting = []
        return list(self.unwritten)

    def written(self, count: int, now: float) -> None:
        """Note that the first so many are written."""
        for _ in range(count):
            batch = self.unwritten.popleft()
            self.size_bytes -= len(batch.payload)
            self.kept.append((now, batch))
        while self.kept and self.kept[0][0] < now - KEPT_S:
            self.kept.popleft()

    def lost(self) -> None:
        """Have all that is kept written again: nobody knows what was lost."""
        self.unwritten.extendleft(batch for _, batch in reversed(self.kept))
        self.size_bytes += sum(len(batch.payload) for _, batch in self.kept)
        self.kept.clear()


@dataclass(slots=True)
class Incoming:
    """What has come from one writer. `missed_count`: letters that never came."""

    expected: int = 0
    missed_count: int = 0

    def news_in(self, first: int, count: int) -> int:
        """Tell how many of a batch's first letters were had before."""
        had = min(max(self.expected - first, 0), count)
        if first > self.expected:
            self.missed_count += first - self.expected
        self.expected = max(self.expected, first + count)
        return had
