"""Who fails is ejected: for how long, how many, and who is not to blame."""

import pytest

from apps.router.core import events
from apps.router.core.values import AttemptOutcome, FailureCode, Health, RuledOut, ServedModel
from tests.unit.router.core.board import Board, board_with, fail_on


def test_third_failure_in_a_row_ejects_and_an_answer_between_counts_anew() -> None:
    board = board_with("a", "b")
    fail_on(board, "a", 2)
    assert board.submit("good", model_name="of-a") == "a"
    board.done("good", tokens=1)
    fail_on(board, "a", 2)
    assert board.health("a") is Health.HEALTHY
    fail_on(board, "a", 1)
    assert board.health("a") is Health.EJECTED
    assert board.record("a").ejected_until == board.now + 5.0
    assert board.submit("j") == "b"
    assert board.table()["a"].ruled_out is RuledOut.EJECTED


def test_ejections_last_twice_as_long_each_time_up_to_five_minutes() -> None:
    board = board_with("a", "b")
    fail_on(board, "a")
    lasted = [board.record("a").ejected_until - board.now]
    for n in range(8):
        board.wait(lasted[-1], tick_s=1.0)
        assert board.submit(f"half-open-{n}", model_name="of-a") == "a"
        board.fail(f"half-open-{n}")
        assert board.health("a") is Health.EJECTED
        lasted.append(board.record("a").ejected_until - board.now)
    assert lasted == pytest.approx([5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 300.0, 300.0, 300.0])


def test_jobs_that_ran_when_it_was_ejected_do_not_make_it_longer() -> None:
    board = board_with("a", "b", slots=16)
    for n in range(16):
        assert board.submit(f"j{n}", model_name="of-a") == "a"
    for n in range(16):
        board.fail(f"j{n}")
    assert board.record("a").ejected_until == pytest.approx(board.now + 5.0)
    assert board.record("a").ejections_count == 1


def test_jitter_is_drawn_from_the_seed_within_a_fifth() -> None:
    lasted = []
    for seed in (1, 1, 2, 3):
        board = board_with("a", seed=seed, ejection_jitter=0.2)
        fail_on(board, "a")
        lasted.append(board.record("a").ejected_until - board.now)
    assert lasted[0] == lasted[1]
    assert len(set(lasted)) == 3
    assert all(4.0 <= one <= 6.0 for one in lasted)


def test_half_open_instance_gets_one_job_and_an_answer_brings_it_to_probation() -> None:
    board = board_with("a", "b", rule="least-loaded")
    fail_on(board, "a")
    board.wait(4.75)
    for n in range(5):
        assert board.submit(f"early-{n}") == ("b" if n < 4 else "")
    board.wait(0.5)
    assert board.owner("early-4") == "a"
    assert board.submit("second") == ""
    assert board.health("a") is Health.EJECTED
    board.done("early-4", tokens=1)
    assert board.health("a") is Health.PROBATION
    assert board.owner("second") == "a"


def test_one_failure_on_probation_after_an_ejection_is_enough() -> None:
    board = board_with("a", "b")
    fail_on(board, "a")
    board.wait(5.0)
    board.submit("good", model_name="of-a")
    board.done("good", tokens=1)
    fail_on(board, "a", 1)
    assert board.health("a") is Health.EJECTED
    assert board.record("a").ejected_until == pytest.approx(board.now + 10.0)


def test_new_instance_on_probation_has_three_failures_like_everybody() -> None:
    board = Board()
    board.join("a", models=(ServedModel("of-a", 8192, 4096),))
    board.beat("a")
    fail_on(board, "a", 2)
    assert board.health("a") is Health.PROBATION


def test_after_probation_the_ejections_are_forgotten() -> None:
    board = board_with("a", "b")
    fail_on(board, "a")
    board.wait(5.0)
    for n in range(3):
        board.submit(f"good-{n}", model_name="of-a")
        board.done(f"good-{n}", tokens=1)
    assert board.health("a") is Health.HEALTHY
    fail_on(board, "a")
    assert board.record("a").ejected_until == pytest.approx(board.now + 5.0)


@pytest.mark.parametrize(("count", "ejected"), [(1, 0), (2, 1), (3, 1), (4, 2), (5, 2)])
def test_at_most_half_of_a_models_instances_are_ejected(count: int, ejected: int) -> None:
    board = Board(rule="round-robin")
    names = [f"i{n}" for n in range(count)]
    for name in names:
        board.join(name)
    for n in range(6 * count):
        # Each job fails once; its reader leaves while the second instance works on it.
        board.submit(f"j{n}")
        board.fail(f"j{n}", FailureCode.OVERLOADED)
        second = board.owner(f"j{n}")
        board.cancel(f"j{n}")
        board.do(events.AttemptDone(second, f"j{n}", 2, "cancelled"))
    healths = [board.health(name) for name in names]
    assert healths.count(Health.EJECTED) == ejected


def test_when_all_that_are_left_are_ejected_ejection_is_ignored() -> None:
    board = board_with("a", "b")
    fail_on(board, "a")
    assert board.submit("first", model_name="of-a") == "a"
    assert board.decisions()[-1].is_fail_open
    assert board.table()["a"].ruled_out is None
    assert board.table()["b"].ruled_out is RuledOut.MODEL_NOT_SERVED
    assert board.submit("either") == "b"
    assert not board.decisions()[-1].is_fail_open
    board.leave("b")
    assert board.owner("either") == "a"
    assert board.decisions()[-1].is_fail_open


# -- what is no fault of the instance ----------------------------------------------------------


def test_job_that_breaks_two_instances_the_same_way_is_blamed_and_they_are_not() -> None:
    board = board_with("a", "b")
    fail_on(board, "a", 2)
    assert board.record("a").consecutive_failures == 2
    board.submit("poison")
    first = board.owner("poison")
    board.fail("poison")
    second = board.owner("poison")
    assert {first, second} == {"a", "b"}
    assert board.health("a") is Health.EJECTED or board.record("b").consecutive_failures == 1
    board.fail("poison")
    assert board.refusal("poison") is not None
    assert board.health("a") is not Health.EJECTED
    assert [board.record(name).consecutive_failures for name in "ab"] == [2, 0]
    assert [board.record(name).ejections_count for name in "ab"] == [0, 0]


def test_job_that_breaks_two_in_different_ways_leaves_the_blame_with_them() -> None:
    board = board_with("a", "b")
    board.submit("j")
    board.fail("j", FailureCode.ENGINE_ERROR)
    board.fail("j", FailureCode.OVERLOADED)
    assert board.refusal("j") is not None
    assert [board.record(name).consecutive_failures for name in "ab"] == [1, 1]


def test_job_answered_at_the_third_try_leaves_the_blame_with_the_two() -> None:
    board = board_with("a", "b", "c")
    board.submit("j")
    board.fail("j")
    board.fail("j")
    third = board.owner("j")
    board.done("j", tokens=1)
    failures = {name: board.record(name).consecutive_failures for name in "abc"}
    assert failures == {name: int(name != third) for name in "abc"}


def test_forgiven_instance_that_is_away_comes_back_unejected() -> None:
    board = board_with("a", "b")
    fail_on(board, "a", 2)
    board.leave("b")
    board.submit("poison")
    board.join("b")
    board.fail("poison")
    assert board.health("a") is Health.EJECTED
    board.leave("a")
    board.fail("poison")
    board.join("a2", instance="a")
    assert board.health("a") is Health.JOINING


@pytest.mark.parametrize(
    "code", [FailureCode.BAD_REQUEST, FailureCode.UNSUPPORTED, FailureCode.CONTEXT_OVERFLOW]
)
def test_what_is_wrong_with_the_request_is_no_failure(code: FailureCode) -> None:
    board = board_with("a")
    board.submit("j")
    board.fail("j", code)
    assert board.record("a").consecutive_failures == 0
    assert board.outcomes("j") == [AttemptOutcome.REFUSED]


def test_broken_link_is_no_failure_of_whoever_takes_over_nor_of_who_left() -> None:
    board = board_with("a", "b")
    board.submit("j")
    first = board.owner("j")
    board.leave(first)
    assert board.owner("j") not in ("", first)
    assert [board.record(name).consecutive_failures for name in "ab"] == [0, 0]
