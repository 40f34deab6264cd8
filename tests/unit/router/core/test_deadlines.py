"""What is too late: learned deadlines for tokens, silence, and the router's own pauses."""

import pytest

from apps.router.core import effects
from apps.router.core.values import AttemptOutcome, Offer
from tests.unit.router.core.board import TICK_S, Board


def late_after(board: Board, job_id: str, *, silent: tuple[str, ...] = ()) -> float:
    """Wait until a job's attempt is ended for its lateness; return how long that took.

    Another instance could have it: where nobody could, a late attempt is borne with.
    """
    if len(board.state.instances) == 1:
        board.join("other")
    began, before = board.now, len(board.outcomes(job_id))
    while len(board.outcomes(job_id)) == before:
        assert board.now - began < 120, "never late"
        board.wait(TICK_S, silent=silent)
    return board.now - began


def schooled(*, first_s: float, token_s: float = 0.02, answers: int = 8) -> Board:
    """Return a router that knows its only instance, with four slots, by some even answers."""
    board = Board()
    board.school("a", first_s=first_s, token_s=token_s, answers=answers)
    board.join("a", slots=4)
    return board


# -- the first token ---------------------------------------------------------------------------


def test_unknown_instance_has_nineteen_and_a_half_seconds_for_the_first_token() -> None:
    board = Board()
    board.join("a")
    board.submit("j", prompt_tokens=950)
    assert 19.5 < late_after(board, "j") <= 19.5 + TICK_S
    assert board.outcomes("j") == [AttemptOutcome.FIRST_TOKEN_LATE]
    assert effects.CancelAttempt("a", "j", 1, "first_token_late") in board.told


@pytest.mark.parametrize("answers", [1, 4, 5, 8])
def test_deadline_is_learned_from_five_answers_on(answers: int) -> None:
    board = schooled(first_s=0.1, answers=answers)
    board.submit("j", prompt_tokens=950)
    bound = 3.0 if answers >= 5 else 19.5
    assert bound < late_after(board, "j") <= bound + TICK_S


@pytest.mark.parametrize(
    ("first_s", "prompt", "bound"),
    [
        (0.1, 950, 3.0),  # the floor
        # Deviation: half the first sample, fading by 0.7 in the square with each even one.
        (2.0, 950, 2.0 * (1 + 6 * 0.5 * 0.7**2)),
        (2.0, 1950, 4.0 * (1 + 6 * 0.5 * 0.7**2)),
        (9.0, 950, 19.5),  # the cap
        (15.0, 950, 30.0),  # known to be slow: twice what is expected
    ],
)
def test_learned_deadline_follows_the_prompt_within_floor_and_cap(
    first_s: float, prompt: int, bound: float
) -> None:
    board = schooled(first_s=first_s, answers=5)
    board.submit("j", prompt_tokens=prompt)
    assert bound < late_after(board, "j") <= bound + TICK_S + 1e-6


def test_uneven_instance_gets_more_time() -> None:
    board = Board()
    for n in range(10):
        board.school("a", first_s=0.5 if n % 2 else 1.5, token_s=0.02)
    board.join("a")
    board.submit("j", prompt_tokens=950)
    known = board.record("a").speeds["tiny"].prefill
    bound = known.mean * 1000 * (1 + 6 * known.deviation)
    assert 3.0 < bound < 19.5
    assert bound < late_after(board, "j") <= bound + TICK_S


def test_crowded_instance_gets_more_time() -> None:
    board = schooled(first_s=2.0)
    for n in range(4):
        board.submit(f"j{n}", prompt_tokens=950)
    alone, fourth = (board.state.jobs[job].running for job in ("j0", "j3"))
    assert alone is not None
    assert fourth is not None
    assert fourth.due_at - fourth.started_at == pytest.approx(
        (alone.due_at - alone.started_at) * 1.36
    )


def test_lateness_is_learned_so_that_the_next_job_goes_elsewhere() -> None:
    board = Board()
    for name in "ab":
        board.school(name, first_s=0.1, token_s=0.02, answers=6)
        board.now += 1
    for name in "ab":
        board.join(name, slots=2)
    first = board.submit("j", prompt_tokens=950)
    late_after(board, "j")
    assert board.owner("j") not in ("", first)
    board.done("j", tokens=1)
    known = board.record(first).speeds["tiny"].prefill.mean
    assert known == pytest.approx(0.7 * 0.0001 + 0.3 * 0.003, rel=0.1)


def test_slot_of_a_late_job_stays_counted_until_the_instance_says_that_it_stopped() -> None:
    board = schooled(first_s=0.1)
    board.submit("j", prompt_tokens=950)
    late_after(board, "j")
    assert board.state.instances["a"].open_jobs == {"j": 1}


# -- between tokens ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("token_s", "answers", "bound"),
    [
        (0.02, 1, 4.5),  # not yet known
        (0.02, 6, 2.5),  # the floor
        (1.0, 6, 1.0 + 1.0 * (1 + 6 * 0.5 * 0.7**2.5)),  # a report is up to 1 s late
        (3.0, 6, 4.5),  # the cap
    ],
)
def test_gap_between_tokens_is_learned_within_floor_and_cap(
    token_s: float, answers: int, bound: float
) -> None:
    board = schooled(first_s=0.1, token_s=token_s, answers=answers)
    board.submit("j", prompt_tokens=950)
    board.progress("j")
    took_s = late_after(board, "j")
    assert bound < took_s <= bound + TICK_S + 1e-6
    assert took_s <= 5.0
    assert board.outcomes("j") == [AttemptOutcome.STUCK]


def test_progress_of_a_sibling_does_not_excuse_a_stuck_job() -> None:
    board = schooled(first_s=0.1, answers=6)
    for job in ("stuck", "alive"):
        board.submit(job, prompt_tokens=0)
        board.progress(job)
    board.join("other")
    for n in range(2, 12):
        board.wait(0.5)
        if "alive" in board.state.jobs:
            board.progress("alive", n)
    assert board.outcomes("stuck") == [AttemptOutcome.STUCK]
    assert board.outcomes("alive") == []


def test_long_prompt_that_the_instance_reads_for_another_job_is_waited_for() -> None:
    board = schooled(first_s=1.0, answers=8)
    board.submit("writing", prompt_tokens=0)
    board.now += 0.05
    board.progress("writing")
    board.submit("reading", prompt_tokens=4950)
    took_s = late_after(board, "writing")
    reading_s = 5.0 * 1.12
    assert 2.5 + reading_s < took_s <= 2.5 + reading_s + TICK_S + 1e-6


# -- nobody else -------------------------------------------------------------------------------


def test_late_attempt_that_nobody_else_could_have_is_borne_with_for_a_while() -> None:
    board = Board()
    board.join("a")
    board.submit("j")
    board.progress("j")
    board.wait(9.0)  # the gap of an unknown instance, and what an instance may take to come back
    assert board.outcomes("j") == []
    assert effects.CancelAttempt("a", "j", 1, "stuck") not in board.told
    board.wait(1.0)
    assert board.outcomes("j") == [AttemptOutcome.STUCK]
    assert board.refusal("j") is not None


def test_late_attempt_that_gets_on_again_was_nobodys_fault() -> None:
    board = Board()
    board.join("a")
    board.submit("j")
    board.progress("j")
    for n in range(2, 6):
        board.wait(8.0)
        board.progress("j", n)
    board.done("j", 5)
    assert board.outcomes("j") == [AttemptOutcome.DONE]
    assert board.record("a").consecutive_failures == 0


def test_late_attempt_goes_to_another_as_soon_as_there_is_one() -> None:
    board = Board()
    board.join("a")
    board.submit("j")
    board.progress("j")
    board.wait(6.0)
    board.join("b")
    board.wait(TICK_S)
    assert board.owner("j") == "b"


def test_only_instance_that_was_away_goes_on_with_its_answer() -> None:
    board = Board()
    board.join("a")
    board.submit("j", may_wait_for_instance=False)
    board.progress("j")
    board.wait(20.0, silent=("a",))
    assert board.outcomes("j") == [AttemptOutcome.SILENT]
    assert not board.state.instances
    board.join("a2", instance="a", offers=(Offer("j", 1),))
    assert board.owner("j") == "a2"
    board.done("j", 5)
    assert board.outcomes("j")[-1] is AttemptOutcome.DONE


# -- silence -----------------------------------------------------------------------------------


def test_silent_instance_that_was_streaming_loses_its_job_within_three_seconds() -> None:
    board = Board()
    board.join("a")
    board.submit("j")
    board.progress("j")
    took_s = late_after(board, "j", silent=("a",))
    assert 2.5 < took_s <= 2.5 + TICK_S
    assert board.outcomes("j") == [AttemptOutcome.SILENT]


def test_idle_silent_instance_is_cut_after_three_heartbeats() -> None:
    board = Board()
    board.join("a")
    board.join("b")
    board.wait(4.5, silent=("a",))
    assert set(board.state.instances) == {"a", "b"}
    board.wait(TICK_S, silent=("a",))
    assert set(board.state.instances) == {"b"}
    [closed] = [e for e in board.told if isinstance(e, effects.CloseLink)]
    assert (closed.session, closed.code) == ("a", 4000)


def test_any_frame_shows_that_a_link_lives() -> None:
    board = Board()
    board.join("a")
    board.submit("j")
    for n in range(1, 20):
        board.wait(1.0, silent=("a",))
        board.progress("j", n)
    assert board.outcomes("j") == []


# -- the router's own pauses -------------------------------------------------------------------


@pytest.mark.parametrize("pause_s", [1.75, 5.0, 60.0, 1e9])
def test_routers_own_pause_blames_nobody(pause_s: float) -> None:
    board = schooled(first_s=0.1, answers=6)
    board.join("idle")
    board.submit("early", prompt_tokens=950)
    board.submit("writing", prompt_tokens=950)
    board.progress("writing")
    board.wait(1.0)
    due_in_s = board.state.jobs["early"].running.due_at - board.now  # type: ignore[union-attr]
    board.tick(pause_s)
    assert set(board.state.instances) == {"a", "idle"}
    assert board.outcomes("early") == board.outcomes("writing") == []
    assert board.record("a").consecutive_failures == 0
    # All clocks go on where they stood.
    assert late_after(board, "early") == pytest.approx(due_in_s, abs=TICK_S + 1e-6)


@pytest.mark.parametrize("pause_s", [5.0, 60.0])
def test_first_token_after_the_routers_pause_does_not_make_its_instance_slow(
    pause_s: float,
) -> None:
    board = schooled(first_s=1.0, answers=6)
    board.submit("j", prompt_tokens=950)
    board.wait(0.5)
    board.tick(pause_s)
    board.wait(0.5)
    assert board.record("a").overdue_s == pytest.approx(0.0)
    board.progress("j")
    assert board.record("a").speeds["tiny"].prefill.mean == pytest.approx(0.001)


def test_usual_pace_of_ticks_is_no_pause() -> None:
    board = Board()
    board.join("a")
    board.wait(6.0, silent=("a",), tick_s=1.5)
    assert board.state.instances == {}


def test_time_that_does_not_move_changes_nothing() -> None:
    board = schooled(first_s=0.1)
    board.submit("j")
    board.tick()
    told = len(board.told)
    for _ in range(10):
        board.tick()
    assert len(board.told) == told
