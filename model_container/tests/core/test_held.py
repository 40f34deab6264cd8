"""Text in ready pieces: no stop sequence and no half character goes out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motherfluxer_model.core.answer import Piece
from motherfluxer_model.core.held import HeldText
from motherfluxer_model.core.stops import StopFinder


def push_all(texts: list[str], stops: list[str], prefix: str = "") -> tuple[str, HeldText]:
    held = HeldText(StopFinder(stops, prefix))
    shown = []
    for text in texts:
        piece = held.push(text, 1)
        shown.append(piece.text if piece else "")
        if held.is_stopped:
            return "".join(shown), held
    last = held.finish()
    return "".join(shown) + (last.text if last else ""), held


def test_text_without_stops_goes_out_at_once() -> None:
    held = HeldText(StopFinder([], ""))
    assert held.push("one", 1) == Piece("one", 1)
    assert held.push(" two", 3) == Piece(" two", 3)
    assert held.finish() is None
    assert held.told_tokens == 4


def test_what_may_begin_a_stop_sequence_waits() -> None:
    held = HeldText(StopFinder(["END"], ""))
    assert held.push("a E", 1) is None
    assert held.push("N", 1) is None
    assert held.push("s", 1) == Piece("a ENs", 3)


def test_a_stop_sequence_is_not_shown() -> None:
    text, held = push_all(["one", " tE", "ND two"], ["END"])
    assert (text, held.is_stopped, held.told_tokens) == ("one t", True, 2)


def test_a_stop_sequence_may_begin_in_the_prefix() -> None:
    assert push_all(["D more"], ["END"], prefix="x EN")[0] == ""


@given(st.text(max_size=30), st.lists(st.text(min_size=1, max_size=4), max_size=3), st.data())
def test_the_cuts_make_no_difference(text: str, stops: list[str], data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(text)))
    found = [at for stop in stops if (at := text.find(stop)) >= 0]
    shown, held = push_all([text[:cut], text[cut:]], stops)
    assert held.is_stopped == bool(found)
    assert shown == (text[: min(found)] if found else text)


@pytest.mark.parametrize("cut", range(5))
def test_halves_of_a_character_are_joined(cut: int) -> None:
    halves = "a\ud83d\ude00b"  # as JSON's escapes give them
    text, _ = push_all([halves[:cut], halves[cut:]], [])
    assert text == "a😀b"


def test_a_half_that_stays_alone_can_be_sent_all_the_same() -> None:
    text, _ = push_all(["a\ude00", "b\ud83d", "c\ud83d"], [])
    assert text.encode().decode() == "a\ufffdb\ufffdc"


def test_tokens_without_text_count_with_the_next() -> None:
    held = HeldText(StopFinder([], ""))
    assert held.push("\ud83d", 1) is None
    assert held.push("\ude00", 1) == Piece("😀", 2)
