"""Server-sent events, whole however the bytes were cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motherfluxer_model.core.events import MAX_EVENT_CHARS, Event, EventReader

STREAM = (
    ": a comment\r\n\r\n"
    'data: {"text": "naïve 日本 👩‍🚀\u2028"}\r\n\r\n'
    "event: ping\ndata: one\ndata:two\nid: 7\nretry: 1\n\n"
    "\n\n"
    "data\n\n"
    "event: lost\n\n"
    "data: last\r\r"
    'error: {"code": 500}\n\n'
    "data: [DONE]"
).encode()
EVENTS = [
    Event('{"text": "naïve 日本 👩‍🚀\u2028"}'),
    Event("one\ntwo", "ping"),
    Event(""),
    Event("last"),
    Event('{"code": 500}', "error"),
    Event("[DONE]"),
]


def read(*parts: bytes) -> list[Event]:
    reader = EventReader()
    found = [event for part in parts for event in reader.feed(part)]
    return found + reader.finish()


def test_each_event_is_read() -> None:
    assert read(STREAM) == EVENTS


@pytest.mark.parametrize("cut", range(len(STREAM) + 1))
def test_a_cut_anywhere_changes_nothing(cut: int) -> None:
    assert read(STREAM[:cut], STREAM[cut:]) == EVENTS


def test_single_bytes_are_enough() -> None:
    assert read(*(bytes([byte]) for byte in STREAM)) == EVENTS


@given(st.lists(st.binary(max_size=20)))
def test_garbage_is_no_more_than_events(parts: list[bytes]) -> None:
    assert all(isinstance(event, Event) for event in read(*parts))


def test_bytes_that_are_no_text_are_replaced() -> None:
    assert read(b"data: a\xff\xe6\x97b\n\n") == [Event("a\ufffd\ufffdb")]


@pytest.mark.parametrize("part", [b"data: " + b"x" * 5000, b"data: " + b"x" * 5000 + b"\n"])
def test_an_endless_event_is_refused(part: bytes) -> None:
    with pytest.raises(ValueError, match="an event over"):
        read(*[part] * (MAX_EVENT_CHARS // 5000 + 2))
