"""Stop sequences are found wherever the pieces are cut, and nothing of them is ever shown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motherfluxer_model.core.stops import StopFinder

few = st.text("abc", max_size=12)
stop_lists = st.lists(st.text("abc", min_size=1, max_size=4), max_size=3)


def run(stops: list[str], prefix: str, pieces: list[str]) -> tuple[str, bool]:
    """Give what is shown, piece by piece, and whether a stop was found."""
    finder, text, shown = StopFinder(stops, prefix), "", ""
    for piece in pieces:
        text += piece
        at = finder.feed(piece)
        if at is not None:
            assert at >= len(shown)
            return text[:at], True
        assert len(shown) <= finder.safe_until <= len(text)
        shown = text[: finder.safe_until]
    return text, False


@given(stop_lists, few, st.lists(few, max_size=6))
def test_shown_text_is_what_stands_before_the_first_stop(
    stops: list[str], prefix: str, pieces: list[str]
) -> None:
    if any(stop in prefix for stop in stops):
        return  # an answer that had its stop sequence already is not gone on with
    whole = prefix + "".join(pieces)
    shown, is_found = run(stops, prefix, pieces)
    places = [at for stop in stops if (at := whole.find(stop)) >= 0]
    assert is_found == bool(places)
    if len(pieces) <= 1 and places:
        assert shown == whole[len(prefix) : max(len(prefix), min(places))]
    assert not any(stop in prefix + shown for stop in stops)
    assert whole.startswith(prefix + shown) or shown == ""


@pytest.mark.parametrize("cut", range(1, 4))
def test_stop_that_straddles_the_prefix_shows_nothing_more(cut: int) -> None:
    assert run(["\nEND"], "text" + "\nEND"[:cut], ["\nEND"[cut:] + " more"]) == ("", True)


def test_text_that_may_begin_a_stop_waits() -> None:
    finder = StopFinder(["STOP"], "")
    assert finder.feed("go ST") is None
    assert finder.safe_until == 3
    assert finder.feed("ART") is None
    assert finder.safe_until == 8


def test_without_stops_everything_is_safe_at_once() -> None:
    finder = StopFinder([], "prefix")
    assert finder.feed("abc") is None
    assert finder.safe_until == 3


def test_earliest_of_several_stops_counts() -> None:
    finder = StopFinder(["c", "b"], "")
    assert finder.feed("abc") == 1
    assert finder.is_found
