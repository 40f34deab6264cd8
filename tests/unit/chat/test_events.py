"""Events as bytes."""

import json

from hypothesis import given
from hypothesis import strategies as st

from apps.chat.events import event_bytes, stream_event_bytes
from apps.router.live.streams import Piece, Started, Waiting


@given(st.text())
def test_any_text_stays_one_event_and_comes_back(text: str) -> None:
    text = text.encode("utf-8", "ignore").decode()
    encoded = stream_event_bytes(Piece(text, 7)).decode()
    head, name, data = encoded.removesuffix("\n\n").split("\n")
    assert (head, name) == ("id: 7", "event: text")
    assert json.loads(data.removeprefix("data: ")) == text


def test_place_tells_figures_and_words() -> None:
    encoded = stream_event_bytes(Waiting(2, 5, 0)).decode()
    data = json.loads(encoded.split("data: ")[1])
    assert (data["place"], data["waiting"], data["online"]) == (2, 5, 0)
    assert data["expected_wait_s"] is None
    assert "number 2" in data["words"]
    encoded = stream_event_bytes(Waiting(2, 5, 1, 12.0)).decode()
    data = json.loads(encoded.split("data: ")[1])
    assert (data["expected_wait_s"], data["words"]) == (12.0, "Place 2 of 5 · about 15 seconds")


def test_start_names_the_instance() -> None:
    encoded = stream_event_bytes(Started("one", "tiny", 2))
    assert (
        encoded == b'event: started\ndata: {"instance": "one", "model": "tiny", "attempt": 2}\n\n'
    )


def test_event_without_offset_leaves_the_readers_place_alone() -> None:
    assert b"id:" not in event_bytes("end", {})
