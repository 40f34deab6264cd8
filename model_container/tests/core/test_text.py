"""Pieces of an answer: whole characters and tokens, whatever the tokens' bytes are."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motherfluxer_model.core.answer import Piece
from motherfluxer_model.core.stops import StopFinder
from motherfluxer_model.core.text import AnswerText
from motherfluxer_model.engines.detokenise import WindowDecoder, make_decoder

readable = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=30)
# Special tokens, which hypothesis finds as constants in our own modules, give no text.
readable = readable.filter(lambda text: "\ufffd" not in text and "<|" not in text)


def letters(token_id: int) -> str:
    return chr(token_id)


def push_all(text: AnswerText, ids: list[int]) -> list[Piece]:
    pieces = [piece for token_id in ids if (piece := text.push(token_id))]
    return pieces if text.is_stopped else [*pieces, *filter(None, [text.finish()])]


def joined(pieces: list[Piece]) -> str:
    return "".join(piece.text for piece in pieces)


@given(text=readable, data=st.data())
def test_answer_cut_at_any_piece_goes_on_to_the_same_text(
    text: str, data: st.DataObject, tokenizer: Any
) -> None:
    ids = tokenizer.encode(text, add_special_tokens=False)
    whole = push_all(AnswerText(make_decoder(tokenizer, []), StopFinder([], "")), ids)
    assert joined(whole) == text
    assert [i for piece in whole for i in piece.token_ids or ()] == ids
    cut = data.draw(st.integers(0, len(whole)))
    told = [i for piece in whole[:cut] for i in piece.token_ids or ()]
    rest = AnswerText(make_decoder(tokenizer, told), StopFinder([], joined(whole[:cut])))
    assert joined(whole[:cut]) + joined(push_all(rest, ids[len(told) :])) == text


@given(text=readable)
def test_window_decoder_gives_the_same_text(text: str, tokenizer: Any) -> None:
    ids = tokenizer.encode(text, add_special_tokens=False)
    pieces = push_all(AnswerText(WindowDecoder(tokenizer, []), StopFinder([], "")), ids)
    assert joined(pieces) == text


def test_half_a_character_waits_for_the_other_half(tokenizer: Any) -> None:
    ids = tokenizer.encode("🦜", add_special_tokens=False)
    assert len(ids) > 1
    text = AnswerText(make_decoder(tokenizer, []), StopFinder([], ""))
    assert [text.push(token_id) for token_id in ids[:-1]] == [None] * (len(ids) - 1)
    assert text.push(ids[-1]) == Piece("🦜", len(ids), tuple(ids))


def test_half_a_character_at_the_end_is_neither_shown_nor_counted(tokenizer: Any) -> None:
    ids = tokenizer.encode("a🦜", add_special_tokens=False)
    text = AnswerText(make_decoder(tokenizer, []), StopFinder([], ""))
    assert joined(push_all(text, ids[:-1])) == "a"
    assert text.told_tokens == 1


def test_special_token_in_the_middle_gives_no_text(tokenizer: Any) -> None:
    a, b = (tokenizer.encode(text, add_special_tokens=False)[0] for text in "ab")
    user = tokenizer.convert_tokens_to_ids("<|user|>")
    text = AnswerText(make_decoder(tokenizer, []), StopFinder([], ""))
    pieces = push_all(text, [a, user, b])
    assert joined(pieces) == "ab"
    assert [i for piece in pieces for i in piece.token_ids or ()] == [a, user, b]


def test_tokens_held_for_a_stop_are_given_once_it_cannot_come() -> None:
    text = AnswerText(letters, StopFinder(["xyz"], ""))
    assert text.push(ord("a")) == Piece("a", 1, (97,))
    assert text.push(ord("x")) is None
    assert text.push(ord("y")) is None
    assert text.push(ord("b")) == Piece("xyb", 3, (120, 121, 98))


def test_stop_sequence_is_never_shown() -> None:
    text = AnswerText(letters, StopFinder(["xyz"], ""))
    pieces = push_all(text, [ord(letter) for letter in "axyz"])
    assert text.is_stopped
    assert joined(pieces) == "a"
    assert text.told_tokens == 1


def test_stop_inside_a_token_cuts_its_text_and_hides_its_id() -> None:
    text = AnswerText({0: "say ", 1: "hello\nUser"}.get, StopFinder(["\nU"], ""))
    pieces = [text.push(0), text.push(1)]
    assert pieces == [Piece("say ", 1, (0,)), Piece("hello", 1, None)]
    assert text.told_tokens == 2


@pytest.mark.parametrize("held", ["x", "xy"])
def test_what_was_held_is_given_at_the_end(held: str) -> None:
    text = AnswerText(letters, StopFinder(["xyz"], ""))
    assert joined(push_all(text, [ord(letter) for letter in "a" + held])) == "a" + held
