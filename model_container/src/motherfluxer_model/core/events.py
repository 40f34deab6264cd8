"""Reading server-sent events from bytes as they come, whatever their cuts. Pure."""

import codecs
from dataclasses import dataclass
from typing import Final

MAX_EVENT_CHARS: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Event:
    """One event; `kind` is "message" where the sender names none."""

    data: str
    kind: str = "message"


class EventReader:
    """Takes bytes cut anywhere, also inside a character or a line end, and gives whole events."""

    def __init__(self) -> None:
        self._decode = codecs.getincrementaldecoder("utf-8")(errors="replace").decode
        self._rest = ""
        self._kind = ""
        self._data: list[str] = []
        self._chars = 0

    def feed(self, data: bytes) -> list[Event]:
        """Take in bytes; give the events that they end. Raises ValueError for an endless one."""
        text = self._rest + self._decode(data)
        self._rest = ""
        if text.endswith("\r"):  # the other half of a line end may follow
            text, self._rest = text[:-1], "\r"
        lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        self._rest = lines.pop() + self._rest
        events = [event for line in lines if (event := self._take_line(line)) is not None]
        if self._chars + len(self._rest) > MAX_EVENT_CHARS:
            raise ValueError(f"an event over {MAX_EVENT_CHARS} characters")
        return events

    def finish(self) -> list[Event]:
        """Give what was left without its empty line: some servers hang up right after the last."""
        last = [self._take_line(self._rest.rstrip("\r")), self._take_line("")]
        self._rest = ""
        return [event for event in last if event is not None]

    def _take_line(self, line: str) -> Event | None:
        if not line:
            return self._end()
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "event":
            self._kind = value
        elif name in ("data", "error"):  # llama.cpp has sent `error: {…}` in the place of an event
            self._kind = "error" if name == "error" else self._kind
            self._data.append(value)
            self._chars += len(value)
        return None

    def _end(self) -> Event | None:
        data, kind = self._data, self._kind
        self._data, self._kind, self._chars = [], "", 0
        return Event("\n".join(data), kind or "message") if data else None
