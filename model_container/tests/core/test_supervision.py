"""The engine's processes, one after the other: what may follow what, and after how long."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motherfluxer_model.core.supervision import (
    LONGEST_WAIT_S,
    STEADY_S,
    TRANSITIONS,
    Phase,
    Supervision,
)
from motherfluxer_model.errors import IllegalPhaseError


def served(now_s: float = 0.0) -> Supervision:
    return Supervision().loaded().passed(now_s)


def again(course: Supervision, now_s: float) -> Supervision:
    return course.rested().loaded().passed(now_s)


def test_an_engine_that_serves_and_breaks_is_made_anew_at_once() -> None:
    course = served().lost(1.0, 0.9)
    assert (course.phase, course.wait_s, course.failures) == (Phase.RESTING, 0.0, 1)
    assert again(course, 2.0).restarts == 1


@pytest.mark.parametrize("course", [Supervision(), Supervision().loaded()])
def test_an_engine_that_never_served_has_failed(course: Supervision) -> None:
    assert course.lost(0.0, 0.5).phase is Phase.FAILED


def test_failures_in_a_row_wait_longer_and_longer_up_to_a_bound() -> None:
    course, waits = served(), []
    for _ in range(12):
        course = course.lost(0.0, 1.0)
        waits.append(course.wait_s)
        course = course.rested()
    assert waits[:5] == [0.0, 0.5, 1.0, 2.0, 4.0]
    assert waits[-1] == LONGEST_WAIT_S
    assert course.restarts == 12


def test_the_wait_is_spread_over_its_upper_half() -> None:
    course = served().lost(0.0, 0.0).rested()
    assert course.lost(0.0, 0.0).wait_s == pytest.approx(0.25)
    assert course.lost(0.0, 1.0).wait_s == pytest.approx(0.5)


def test_serving_for_long_ends_the_series_of_failures() -> None:
    course = again(served().lost(0.0, 0.5), 10.0).lost(10.0 + STEADY_S, 0.5)
    assert (course.failures, course.wait_s) == (1, 0.0)
    course = again(course, 100.0).lost(100.0 + STEADY_S - 1, 0.5)
    assert course.failures == 2


def test_what_is_closed_stays_closed() -> None:
    course = served().closed()
    for move in (course.loaded, course.rested, course.closed):
        with pytest.raises(IllegalPhaseError):
            move()


@given(st.lists(st.sampled_from(["loaded", "passed", "lost", "rested", "closed"])))
def test_no_move_leaves_the_table(moves: list[str]) -> None:
    course = Supervision()
    for name in moves:
        arguments = {"passed": (1.0,), "lost": (1.0, 0.5)}.get(name, ())
        with contextlib.suppress(IllegalPhaseError):
            moved = getattr(course, name)(*arguments)
            assert moved.phase in TRANSITIONS[course.phase]
            course = moved
