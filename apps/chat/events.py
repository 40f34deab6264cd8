"""The events of an answer's stream, as bytes of `text/event-stream`. Pure."""

import json
from typing import Any

from apps.chat.conf import CONF
from apps.chat.words import place_words
from apps.router.live.streams import Piece, Started, Waiting

KEEP_ALIVE = b": still here\n\n"
OPENING = f"retry: {CONF.reconnect_ms}\n\n".encode()


def event_bytes(name: str, data: Any, event_id: int | None = None) -> bytes:
    """Encode one event. JSON escapes line ends, so the data is always one line."""
    head = "" if event_id is None else f"id: {event_id}\n"
    return f"{head}event: {name}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n".encode()


def stream_event_bytes(event: Waiting | Started | Piece) -> bytes:
    """Encode what a job's stream says before its end."""
    if isinstance(event, Piece):
        return event_bytes("text", event.text, event.offset)
    if isinstance(event, Started):
        data = {
            "instance": event.instance_name,
            "model": event.model_name,
            "attempt": event.attempt,
        }
        return event_bytes("started", data)
    figures = {"place": event.place, "waiting": event.waiting, "online": event.instances_online}
    wait_s = event.expected_wait_s
    words = place_words(**figures, expected_wait_s=wait_s)
    return event_bytes("place", {**figures, "expected_wait_s": wait_s, "words": words})
