"""What is said of the served models, and in which order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motherfluxer_model.core.announcement import Announcement
from motherfluxer_wire.frames import Model

ONE = [Model(name="one", context_tokens=1, max_output_tokens=1)]
OTHER = [Model(name="other", context_tokens=1, max_output_tokens=1)]


@pytest.fixture
def greeted() -> Announcement:
    announcement = Announcement()
    announcement.note(ONE)
    assert announcement.greet() == ONE
    return announcement


def said(announcement: Announcement) -> list[list[Model]]:
    """Take everything that is due."""
    lists = []
    while (models := announcement.take()) is not None:
        lists.append(models)
    assert not announcement.is_due
    return lists


def test_nothing_is_said_while_nothing_changes(greeted: Announcement) -> None:
    greeted.note(list(ONE))
    assert said(greeted) == []


def test_a_change_is_said_once(greeted: Announcement) -> None:
    greeted.note(OTHER)
    assert said(greeted) == [OTHER]
    assert said(greeted) == []


def test_a_pause_and_the_return_are_said_in_this_order(greeted: Announcement) -> None:
    greeted.note([])
    assert greeted.is_pause_due
    assert said(greeted) == [[]]
    greeted.note(ONE)
    assert said(greeted) == [ONE]


def test_a_pause_that_is_over_before_it_was_said_is_said_all_the_same(
    greeted: Announcement,
) -> None:
    greeted.note([])
    greeted.note(ONE)
    assert said(greeted) == [[], ONE]


def test_hello_says_the_usual_models_while_the_engine_is_down(greeted: Announcement) -> None:
    greeted.note([])
    assert greeted.greet() == ONE
    assert said(greeted) == [[]]


def test_a_pause_said_on_a_broken_link_is_said_again_on_the_next_one_only(
    greeted: Announcement,
) -> None:
    greeted.note([])
    assert said(greeted) == [[]]
    greeted.note(ONE)
    assert greeted.greet() == ONE
    assert said(greeted) == [[], ONE]
    assert greeted.greet() == ONE
    assert said(greeted) == []


@given(st.lists(st.sampled_from(["one", "other", "none", "take", "greet"])))
def test_the_last_word_is_what_is_served(steps: list[str]) -> None:
    announcement, told, served = Announcement(), list(ONE), list(ONE)
    announcement.note(ONE)
    announcement.greet()
    for name in steps:
        if name == "take":
            taken = announcement.take()
            told = told if taken is None else taken
        elif name == "greet":
            told = announcement.greet()
            assert told
        else:
            served = {"one": ONE, "other": OTHER, "none": []}[name]
            announcement.note(served)
    told = [told, *said(announcement)][-1]
    assert told == served
