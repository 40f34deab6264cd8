"""Adds up what keys use until it is written. Pure, and bounded."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageRow:
    """What a key used of a model on a day. `key_id` is the public part of the key."""

    key_id: str
    day: date
    model_name: str
    requests: int
    prompt_tokens: int
    completion_tokens: int


class UsageBuffer:
    """Rows by key, day and model, and no more of them than there is room for."""

    def __init__(self, *, most_rows: int) -> None:
        self._most_rows = most_rows
        self._rows: dict[tuple[str, date, str], UsageRow] = {}

    def __bool__(self) -> bool:
        return bool(self._rows)

    def add(self, row: UsageRow) -> bool:
        """Add to what there is of that key, day and model. False: there was no room."""
        place = (row.key_id, row.day, row.model_name)
        before = self._rows.get(place)
        if before is None:
            if len(self._rows) >= self._most_rows:
                return False
            self._rows[place] = row
            return True
        self._rows[place] = UsageRow(
            key_id=row.key_id,
            day=row.day,
            model_name=row.model_name,
            requests=before.requests + row.requests,
            prompt_tokens=before.prompt_tokens + row.prompt_tokens,
            completion_tokens=before.completion_tokens + row.completion_tokens,
        )
        return True

    def take(self) -> list[UsageRow]:
        """Return all rows and forget them."""
        rows = list(self._rows.values())
        self._rows.clear()
        return rows

    def put_back(self, rows: Iterable[UsageRow]) -> None:
        """Add what was taken and could not be written, as far as there is room."""
        for row in rows:
            self.add(row)
