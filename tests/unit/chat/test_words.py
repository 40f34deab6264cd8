"""What people are told, and what they can do about it."""

import pytest

from apps.chat.words import (
    broken_off_words,
    comes_back_words,
    duration_words,
    error_words,
    left_words,
    not_continued_words,
    place_words,
    wait_words,
)
from apps.router.errors import ErrorCode
from apps.router.ports import Allowance


def allowance(left: int = 0) -> Allowance:
    return Allowance(limit=10, left=left, window_s=86_400, comes_back_at=10_000.0)


NETWORKS = Allowance(limit=30, left=0, window_s=3_600, comes_back_at=10_000.0, is_shared=True)


@pytest.mark.parametrize("code", ErrorCode)
def test_every_code_has_words_for_visitors_and_users(code: ErrorCode) -> None:
    for whose in (None, allowance()):
        words = error_words(code, "Said by the router.", allowance=whose)
        assert words.message.endswith(".")
        assert words.code == code


def test_limit_invites_to_register() -> None:
    words = error_words(ErrorCode.DEMO_LIMIT_REACHED, allowance=allowance())
    assert words.offers_signup
    assert "You have used your 10 free answers for today." in words.message


def test_who_shares_a_network_is_told_that_others_do() -> None:
    words = error_words(ErrorCode.DEMO_LIMIT_REACHED, allowance=NETWORKS)
    assert words.offers_signup
    assert "Your network, which others may use too" in words.message
    assert "30 free answers for this hour." in words.message


def test_only_visitors_are_invited_when_the_queue_is_full() -> None:
    assert error_words(ErrorCode.QUEUE_FULL, allowance=allowance()).offers_signup
    assert not error_words(ErrorCode.QUEUE_FULL).offers_signup


def test_unknown_code_says_what_the_router_said() -> None:
    assert error_words("new_code", "Said by the router.").message == "Said by the router."


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "1 minute"),
        (60, "1 minute"),
        (61, "2 minutes"),
        (3540, "59 minutes"),
        (3541, "1 hour"),
        (86400, "24 hours"),
    ],
)
def test_duration_is_rounded_up(seconds: float, words: str) -> None:
    assert duration_words(seconds) == words


def test_untouched_allowance_has_nothing_that_comes_back() -> None:
    untouched = Allowance(limit=10, left=10, window_s=86_400)
    assert comes_back_words(untouched, now=0) == ""
    words = comes_back_words(allowance(left=9), now=9_000.0)
    assert words == "the next comes back in 17 minutes"


def test_what_is_left_is_said_with_its_span() -> None:
    assert left_words(allowance(left=3)) == "3 of 10 left today"
    assert left_words(NETWORKS) == "0 of 30 left this hour for your network"
    assert left_words(Allowance(limit=5, left=2, window_s=1_800)) == "2 of 5 left"


def test_place_says_what_it_waits_for() -> None:
    assert place_words(place=2, waiting=2, online=0).startswith(
        "No instance is connected right now. You are number 2 in the queue"
    )
    assert place_words(place=3, waiting=7, online=1) == "Place 3 of 7"
    assert place_words(place=1, waiting=7, online=1) == "You are next"


def test_place_says_how_long_if_that_is_known() -> None:
    known = place_words(place=3, waiting=7, online=1, expected_wait_s=17.0)
    assert known == "Place 3 of 7 · about 20 seconds"
    nobody = place_words(place=3, waiting=7, online=0, expected_wait_s=17.0)
    assert "seconds" not in nobody


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "a few seconds"),
        (5, "a few seconds"),
        (6, "about 10 seconds"),
        (30, "about 30 seconds"),
        (31, "about 40 seconds"),
        (60, "about 60 seconds"),
        (61, "about 2 minutes"),
        (3600, "about 1 hour"),
    ],
)
def test_expected_wait_is_rough(seconds: float, words: str) -> None:
    assert wait_words(seconds) == words


def test_broken_off_answer_may_be_continued() -> None:
    for code in (ErrorCode.ANSWER_INTERRUPTED, ErrorCode.QUEUE_TIMEOUT):
        assert broken_off_words(code).message.endswith("“Continue” goes on from there.")
    said = not_continued_words(ErrorCode.ANSWER_INTERRUPTED, "no connected instance can")
    assert said.message.startswith("No connected instance can go on")
    over = not_continued_words(ErrorCode.DEMO_LIMIT_REACHED, allowance=allowance())
    assert over.offers_signup
