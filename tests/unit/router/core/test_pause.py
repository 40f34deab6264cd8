"""An instance whose engine is down pauses: its jobs wait for it, and it is blamed once."""

from collections.abc import Sequence

import pytest

from apps.router.core import effects, events
from apps.router.core.values import (
    AttemptOutcome,
    FailureCode,
    Health,
    Refusal,
    RuledOut,
    ServedModel,
)
from tests.unit.router.core.board import MUTE, TINY, Board, board_with

SHORT = ServedModel(name="tiny", context_tokens=10, max_output_tokens=5, can_continue=True)


def announce(board: Board, session: str, models: Sequence[ServedModel]) -> None:
    """Let an instance say what it serves."""
    slots = board.state.instances[session].slots
    board.do(events.InstanceChanged(session, tuple(models), slots))


def crash(board: Board, session: str) -> list[str]:
    """Let an instance's engine break down under its jobs; return them."""
    jobs = list(board.state.instances[session].open_jobs)
    announce(board, session, ())
    for job_id in jobs:
        board.do(
            events.AttemptFailed(
                session,
                job_id,
                board.state.jobs[job_id].attempt,
                FailureCode.ENGINE_ERROR,
                "the engine broke down",
            )
        )
    return jobs


def begin(board: Board, *job_ids: str) -> None:
    """Hand in jobs whose answers have begun."""
    for job_id in job_ids:
        board.submit(job_id, may_wait_for_instance=False)
        board.progress(job_id)


def test_all_jobs_of_the_only_instance_go_on_when_it_is_back() -> None:
    board = board_with("a", slots=8)
    jobs = [f"j{n}" for n in range(8)]
    begin(board, *jobs)
    assert crash(board, "a") == jobs
    board.wait(20.0)
    assert all(board.owner(job_id) == "" for job_id in jobs)
    announce(board, "a", [TINY])
    assert all(board.owner(job_id) == "a" for job_id in jobs)
    assert {board.state.jobs[job_id].attempt for job_id in jobs} == {2}
    for job_id in jobs:
        board.done(job_id, tokens=3)
        assert board.outcomes(job_id) == [AttemptOutcome.FAILED, AttemptOutcome.DONE]
        assert board.refusal(job_id) is None


def test_another_instance_gets_them_at_once() -> None:
    board = board_with("a", slots=8)
    begin(board, "j1", "j2")
    board.join("b", slots=8)
    crash(board, "a")
    assert {board.owner("j1"), board.owner("j2")} == {"b"}
    board.submit("j3")
    assert board.owner("j3") == "b"
    assert board.table()["a"].ruled_out is RuledOut.PAUSED


def test_without_a_pause_the_only_instance_never_gets_its_job_again() -> None:
    board = board_with("a")
    begin(board, "j1")
    board.fail("j1")
    refusal = board.refusal("j1")
    assert refusal is not None
    assert refusal.refusal is Refusal.INSTANCES_FAILED


def test_failure_before_the_pause_does_not_rule_out_the_engine_made_anew() -> None:
    board = board_with("a", "b", slots=1)
    begin(board, "j1")
    first = board.owner("j1")
    other = {"a": "b", "b": "a"}[first]
    begin(board, "j2")
    board.fail("j1")
    assert board.owner("j1") == ""  # the other one is busy
    announce(board, first, ())
    announce(board, first, [TINY])
    assert (board.owner("j1"), board.owner("j2")) == (first, other)


def test_failures_that_are_heard_of_after_the_pause_are_of_the_engine_before() -> None:
    board = board_with("a", slots=8)
    begin(board, "j1", "j2")
    board.tick(1.0)
    announce(board, "a", ())
    announce(board, "a", [TINY])
    for job_id in ("j1", "j2"):
        board.fail(job_id)
        assert board.owner(job_id) == "a"
    assert board.record("a").consecutive_failures == 1
    board.tick(1.0)
    board.fail("j1")
    assert board.refusal("j1") is not None
    assert board.record("a").consecutive_failures == 2


def test_three_attempts_in_all_stay_the_bound() -> None:
    board = board_with("a")
    begin(board, "j1")
    for _ in range(2):
        crash(board, "a")
        announce(board, "a", [TINY])
        assert board.owner("j1") == "a"
    crash(board, "a")
    refusal = board.refusal("j1")
    assert refusal is not None
    assert refusal.refusal is Refusal.INSTANCES_FAILED
    assert not board.state.jobs


def test_instance_that_does_not_come_back_is_waited_for_within_the_usual_bound() -> None:
    board = board_with("a")
    begin(board, "j1")
    crash(board, "a")
    board.wait(board.state.settings.max_wait_program_s)
    assert board.refusal("j1") is None
    board.wait(1.0)
    refusal = board.refusal("j1")
    assert refusal is not None
    assert refusal.refusal is Refusal.QUEUE_TIMEOUT


def test_pausing_instance_is_waited_for_a_moment_while_others_that_cannot_go_on_serve() -> None:
    board = board_with("a")
    begin(board, "j1")
    board.join("mute", models=(MUTE,))
    crash(board, "a")
    board.wait(board.state.settings.come_back_s)
    assert board.refusal("j1") is None
    board.wait(1.0)
    refusal = board.refusal("j1")
    assert refusal is not None
    assert refusal.refusal is Refusal.INSTANCES_FAILED


@pytest.mark.parametrize("models", [[MUTE], [SHORT], [ServedModel("other", 8192, 4096)]])
def test_pausing_instance_that_could_not_have_the_job_is_not_waited_for(
    models: list[ServedModel],
) -> None:
    board = board_with("a")
    board.submit("j1", model_name="tiny", least_prompt_tokens=100, may_wait_for_instance=False)
    board.progress("j1")
    board.join("b", models=models)
    announce(board, "b", ())
    board.fail("j1")
    assert board.refusal("j1") is not None


def test_pausing_instance_that_winds_up_is_not_waited_for() -> None:
    board = board_with("a")
    begin(board, "j1")
    board.do(events.InstanceDraining("a"))
    crash(board, "a")
    assert board.refusal("j1") is not None


def test_one_crash_counts_once_however_many_jobs_it_had() -> None:
    board = board_with("a", "b", slots=8)
    for n in range(8):
        assert board.submit(f"j{n}", model_name="of-a") == "a"
    crash(board, "a")
    assert board.record("a").consecutive_failures == 1
    assert board.record("a").failures == pytest.approx(1.0)
    assert board.health("a") is Health.HEALTHY


def test_job_that_crosses_the_pause_on_its_way_does_not_count() -> None:
    board = board_with("a", slots=2)
    begin(board, "j1", "j2")
    announce(board, "a", ())
    board.fail("j1")
    board.fail("j2", FailureCode.OVERLOADED)
    assert board.record("a").consecutive_failures == 1
    assert board.refusal("j2") is None


def test_instance_that_crashes_again_and_again_is_ejected() -> None:
    board = board_with("a", "b", slots=8)
    for n in range(3):
        assert board.health("a") is Health.HEALTHY
        for m in range(4):
            assert board.submit(f"j{n}-{m}", model_name="of-a") == "a"
        crash(board, "a")
        announce(board, "a", [TINY, ServedModel("of-a", 8192, 4096, can_continue=True)])
        for m in range(4):
            board.cancel(f"j{n}-{m}")
            board.do(events.AttemptDone("a", f"j{n}-{m}", 2, "cancelled"))
    assert board.health("a") is Health.EJECTED
    assert board.record("a").ejections_count == 1


def test_only_instance_that_crashes_again_and_again_is_never_ejected() -> None:
    board = board_with("a", ejected_share=0.5)
    for n in range(5):
        board.submit(f"j{n}")
        crash(board, "a")
        announce(board, "a", [TINY])
        board.cancel(f"j{n}")
        board.do(events.AttemptDone("a", f"j{n}", 2, "cancelled"))
    assert board.health("a") is not Health.EJECTED
    assert board.record("a").consecutive_failures == 5


def test_job_that_breaks_two_engines_is_blamed_and_they_are_not() -> None:
    board = board_with("a", "b", slots=8, max_attempts=2)
    begin(board, "poison")
    crash(board, board.owner("poison"))
    crash(board, board.owner("poison"))
    assert board.refusal("poison") is not None
    assert board.record("a").consecutive_failures == board.record("b").consecutive_failures == 0


def test_pause_that_is_said_twice_is_one_pause() -> None:
    board = board_with("a")
    begin(board, "j1")
    crash(board, "a")
    announce(board, "a", ())
    board.tick(1.0)
    announce(board, "a", [TINY])
    assert board.owner("j1") == "a"


def test_paused_instance_whose_link_breaks_is_waited_for_as_any_other() -> None:
    board = board_with("a")
    begin(board, "j1")
    crash(board, "a")
    board.leave("a")
    board.wait(10.0)
    board.join("a2", instance="a")
    # It introduces itself with its usual models; whether they are there it says next.
    assert board.refusal("j1") is None
    announce(board, "a2", ())
    announce(board, "a2", [TINY])
    assert board.owner("j1") == "a2"
    assert not [e for e in board.told if isinstance(e, effects.RefuseJob)]
