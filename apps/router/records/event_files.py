"""The folder of recorded events: begins files, appends to them, removes the old ones."""

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

from apps.router.conf import CONF
from apps.router.records.segments import Header, Line

_PATTERN: Final = "events-*.jsonl"


class EventFiles:
    """Writes one run's files. Everything here blocks and belongs into a thread."""

    def __init__(self, folder: Path, *, kept_h: float) -> None:
        self.folder = folder
        self.kept_h = kept_h
        self.segment_bytes = 0
        self._path: Path | None = None
        self._encoder = msgspec.json.Encoder()

    def write(self, items: Iterable[Header | Line]) -> None:
        """Append lines; a header begins a new file. Raises OSError."""
        lines: list[bytes] = []
        for item in items:
            if isinstance(item, Header):
                self._append(lines)
                self._begin(item)
                lines = []
            lines.append(self._encoder.encode(item))
        self._append(lines)

    def _append(self, lines: list[bytes]) -> None:
        if self._path is None or not lines:
            return
        data = b"\n".join(lines) + b"\n"
        with self._path.open("ab") as file:
            file.write(data)
        self.segment_bytes += len(data)

    def _begin(self, header: Header) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._remove_old()
        begun_at = f"{header.begun_at:%Y%m%dT%H%M%S}"
        path = self.folder / f"events-{begun_at}-{header.run}-{header.number:04}.jsonl"
        path.touch(mode=0o600)
        self._path, self.segment_bytes = path, 0

    def _remove_old(self) -> None:
        """Remove files that are past their time, and the oldest of too many."""
        oldest_at = time.time() - self.kept_h * 3600
        kept_bytes = 0
        for path in sorted(self.folder.glob(_PATTERN), reverse=True):  # names begin with the time
            found = path.stat()
            kept_bytes += found.st_size
            if found.st_mtime < oldest_at or kept_bytes > CONF.events_most_bytes:
                path.unlink(missing_ok=True)
