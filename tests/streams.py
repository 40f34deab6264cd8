"""What a reader makes of the lines of a stream, whichever client they come by."""

import json
from dataclasses import dataclass, field
from typing import Any


@dataclass
class ChatAnswer:
    """An answer of the chat page, line by line, over as many connections as it takes."""

    text: str = ""
    end: dict[str, Any] | None = None
    _event: dict[str, str] = field(default_factory=dict)

    def connect(self) -> None:
        """Forget an event that a broken connection has begun."""
        self._event = {}

    def take(self, line: str) -> None:
        """Take one line more; an empty one ends an event."""
        if line:
            name, _, value = line.partition(": ")
            self._event[name] = value
            return
        event, self._event = self._event, {}
        if event.get("event") == "text":
            self.text += json.loads(event["data"])
            assert int(event["id"]) == len(self.text), "a character was doubled or lost"
        elif event.get("event") == "end":
            self.end = json.loads(event["data"])


def api_text(stream: str) -> str:
    """Return the text of a whole streamed chat completion of /v1, which ended well."""
    events = [json.loads(line[6:]) for line in stream.split("\n") if line.startswith("data: {")]
    assert all("error" not in event for event in events), events[-1]
    choices = (choice for event in events for choice in event["choices"])
    return "".join(choice["delta"].get("content") or "" for choice in choices)
