"""Finding, for a new prompt, the longest beginning that was computed before. Pure.

What is kept for a text of tokens (its keys and values) also serves each beginning of that text. The
store is bounded in bytes; what was used longest ago goes first.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

Kept = TypeVar("Kept")
MIN_TOKENS: Final = 16  # finding and copying less costs more than computing it


@dataclass(frozen=True, slots=True)
class _Entry(Generic[Kept]):
    ids: tuple[int, ...]
    kept: Kept
    size_bytes: int


class PrefixStore(Generic[Kept]):
    """Texts of tokens with what is kept for each."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.used_bytes = 0
        self._entries: list[_Entry[Kept]] = []  # the last used stands last

    def __len__(self) -> int:
        return len(self._entries)

    def find(self, ids: Sequence[int]) -> tuple[Kept, int] | None:
        """Give what is kept for the text that shares the longest beginning, and its length."""
        wanted = tuple(ids)
        shared = [shared_count(entry.ids, wanted) for entry in self._entries]
        count = max(shared, default=0)
        if count < MIN_TOKENS:
            return None
        entry = self._entries.pop(shared.index(count))
        self._entries.append(entry)
        return entry.kept, count

    def put(self, ids: Sequence[int], kept: Kept, size_bytes: int) -> None:
        """Keep something for a text; shorter texts that it begins with are covered by it."""
        new = _Entry(tuple(ids), kept, size_bytes)
        if size_bytes > self.max_bytes:
            return
        self._entries = [e for e in self._entries if e.ids != new.ids[: len(e.ids)]]
        self._entries.append(new)
        self.used_bytes = sum(entry.size_bytes for entry in self._entries)
        while self.used_bytes > self.max_bytes:
            self.used_bytes -= self._entries.pop(0).size_bytes

    def holds(self, ids: Sequence[int]) -> bool:
        """Whether a kept text begins with these tokens: putting them would add nothing."""
        wanted = tuple(ids)
        return any(entry.ids[: len(wanted)] == wanted for entry in self._entries)


def shared_count(a: tuple[int, ...], b: tuple[int, ...]) -> int:
    """Count the tokens that two texts begin with in common."""
    least, most = 0, min(len(a), len(b))
    if a[:most] == b[:most]:
        return most
    while most - least > 1:  # a[:least] == b[:least], a[:most] != b[:most]
        middle = (least + most) // 2
        if a[least:middle] == b[least:middle]:
            least = middle
        else:
            most = middle
    return least
