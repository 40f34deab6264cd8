"""The rule that ships: each term of its formula alone, and when it holds a job back."""

import pytest

from apps.router.core import events, figures
from apps.router.core.selection import soonest
from apps.router.core.speed import CROWDING
from apps.router.core.values import Alias, AliasTarget, ServedModel
from tests.unit.router.core.board import Board

WRITING_S = soonest.READING * 200 * 0.02
"""The second term of an instance that writes a token in 20 ms, for the usual 200 tokens."""


def board_with(*names: str, first_s: float = 1.0, token_s: float = 0.02, **options: int) -> Board:
    """Return instances that have shown the same speed, all of them idle."""
    board = Board()
    for name in names:
        board.school(name, first_s=first_s, token_s=token_s)
    for name in names:
        board.join(name, slots=options.get("slots", 4))
    return board


def test_while_nothing_is_measured_the_share_of_the_slots_in_use_decides() -> None:
    board = Board()
    board.join("a", slots=1)
    board.join("b", slots=4)
    found = [board.submit(f"j{n}") for n in range(5)]
    assert found == ["a", "b", "b", "b", "b"]
    assert board.scores() == {"a": None, "b": pytest.approx(soonest.LOAD_S * 3 / 4)}


@pytest.mark.parametrize("prompt", [0, 450, 950, 4950])
def test_prompt_is_read_at_the_learned_speed(prompt: int) -> None:
    board = board_with("a", first_s=2.0, token_s=0.02)
    board.submit("j", prompt_tokens=prompt)
    assert board.scores()["a"] == pytest.approx(0.002 * (prompt + 50) + WRITING_S)


def test_writing_counts_a_small_share_for_the_usual_answer() -> None:
    board = board_with("a", first_s=1.0, token_s=0.5)
    board.submit("j", prompt_tokens=950)
    assert board.scores()["a"] == pytest.approx(1.0 + soonest.READING * 200 * 0.5)


def test_untried_instance_counts_with_less_than_is_usual_and_is_tried() -> None:
    board = board_with("a", first_s=1.0, token_s=0.02)
    board.join("new", slots=4)
    assert board.submit("j", prompt_tokens=950) == "new"
    usual = 1.0 + WRITING_S
    assert board.scores() == {
        "a": pytest.approx(usual),
        "new": pytest.approx(figures.UNTRIED * usual),
    }


def test_each_other_job_slows_by_the_crowding_and_adds_its_load() -> None:
    board = board_with("a", slots=4)
    alone = 1.0 + WRITING_S
    for n in range(4):
        board.submit(f"j{n}", prompt_tokens=950)
        expected = alone * (1 + CROWDING * n) + soonest.LOAD_S * n / 4
        assert board.scores()["a"] == pytest.approx(expected)


def test_what_an_instance_holds_of_the_conversation_is_not_read_again() -> None:
    board = board_with("a", "b", slots=4)
    first = board.submit("first", prompt_tokens=700, conversation="c1")
    board.done("first", tokens=100, prompt=700)
    board.submit("second", prompt_tokens=950, conversation="c1")
    other = {"a": "b", "b": "a"}[first]
    scores = board.scores()
    # Half of 800 held tokens: how much is truly reused isn't known yet.
    assert scores[other] == pytest.approx(1.0 + WRITING_S)
    assert scores[first] == pytest.approx(0.001 * (1000 - 400) + WRITING_S)
    assert board.owner("second") == first
    assert board.table()[first].held_tokens == 800
    board.done("second", tokens=50, prompt=950, cached=200)
    board.submit("third", prompt_tokens=1950, conversation="c1")
    # It has shown that it reuses 200 of 800.
    assert board.scores()[first] == pytest.approx(0.001 * (2000 - 0.25 * 1000) + WRITING_S)


def test_conversation_is_thought_to_be_held_for_a_while_only() -> None:
    board = board_with("a", "b")
    first = board.submit("first", prompt_tokens=700, conversation="c1")
    board.done("first", tokens=100, prompt=700)
    board.wait(board.state.settings.affinity_s + 1, tick_s=1.0)
    board.submit("second", prompt_tokens=950, conversation="c1")
    assert board.table()[first].held_tokens == 0
    assert not board.state.conversations


def test_overdue_first_token_counts_by_its_lateness() -> None:
    board = board_with("a", "b")
    first = board.submit("slow", prompt_tokens=950)
    board.wait(2.5)  # expected after 1 s
    board.submit("j", prompt_tokens=950)
    alone = 1.0 + WRITING_S
    assert board.scores()[first] == pytest.approx(alone * (1 + CROWDING) + soonest.LOAD_S / 4 + 1.5)
    assert board.owner("j") != first
    board.progress("slow")
    board.wait(0.25)
    assert board.record(first).overdue_s == 0.0


@pytest.mark.parametrize(("later_s", "left"), [(0.0, 1.0), (30.0, 0.5), (60.0, 0.25)])
def test_failure_costs_seconds_and_is_halved_in_thirty(later_s: float, left: float) -> None:
    board = board_with("a", "b")
    first = board.submit("j", prompt_tokens=950)
    board.fail("j")
    board.done("j")
    board.wait(later_s, tick_s=1.0)
    board.submit("next", prompt_tokens=950)
    assert board.scores()[first] == pytest.approx(1.0 + WRITING_S + soonest.FAILURE_S * left)
    assert board.table()[first].recent_failures == pytest.approx(left)


def test_region_counts_until_the_speed_is_measured() -> None:
    board = Board(region_rtt_s={"far": 0.15})
    board.join("a", region="far", slots=4)
    board.submit("first", prompt_tokens=950)
    assert board.scores() == {"a": pytest.approx(0.15)}
    board.submit("second", prompt_tokens=950)
    assert board.scores() == {"a": pytest.approx(0.15 + soonest.LOAD_S / 4)}
    board.answer("first", first_s=1.0)
    board.submit("third", prompt_tokens=950)
    assert board.scores()["a"] == pytest.approx(1.0 * (1 + CROWDING) + soonest.LOAD_S / 4, abs=0.01)


def test_unknown_region_counts_nothing() -> None:
    board = Board(region_rtt_s={"far": 0.15})
    board.join("a", region="unheard of")
    board.submit("j")
    assert board.scores() == {"a": 0.0}


def test_idle_instance_that_was_slow_is_tried_again() -> None:
    board = Board()
    board.school("fast", first_s=1.0, token_s=0.02, answers=15)
    board.school("slow", first_s=5.0, token_s=0.02)
    board.join("slow", slots=4)
    usual_s = board.state.models["tiny"].speed.prefill.mean * 1000
    for idle_s, slower_s in ((299.0, 5.0 - usual_s), (301.0, (5.0 - usual_s) / 4)):
        board.wait(idle_s, tick_s=1.0)
        board.submit("j", prompt_tokens=950)
        if idle_s < 300:
            assert board.scores()["slow"] == pytest.approx(usual_s + slower_s + WRITING_S)
        else:
            assert board.scores()["slow"] == pytest.approx(usual_s + slower_s + WRITING_S, abs=0.03)
        board.done("j")


# -- holding back ------------------------------------------------------------------------------


def uneven(*, slow_first_s: float) -> Board:
    """Return a fast instance that is busy for about another second, and a slow one that is free."""
    board = Board()
    board.school("fast", first_s=0.1, token_s=0.01, answers=3)  # jobs of 1.1 s
    board.school("slow", first_s=slow_first_s, token_s=0.01)
    board.join("fast")
    board.now += 1.0
    assert board.submit("running", prompt_tokens=950) == "fast"
    board.join("slow")
    return board


def test_job_waits_for_a_busy_instance_that_is_sooner_all_the_same() -> None:
    board = uneven(slow_first_s=10.0)
    assert board.submit("j", prompt_tokens=950) == ""
    board.answer("running", first_s=0.1, token_s=0.01)
    assert board.owner("j") == "fast"


@pytest.mark.parametrize(("share", "is_held"), [(0.5, False), (0.97, False), (1.03, True)])
def test_waiting_must_take_a_share_of_the_time_at_most(share: float, is_held: bool) -> None:
    writing_s = soonest.READING * 200 * 0.01
    # The fast one's slot comes free once in 1.1 s, and there the job needs 0.1 s and its writing.
    waiting_s = 1.1 + 0.1 + writing_s
    limit_s = waiting_s / soonest.HOLD_GAIN - writing_s
    board = uneven(slow_first_s=limit_s * share)
    board.submit("j", prompt_tokens=950)
    assert board.owner("j") == ("" if is_held else "slow")


def test_short_wait_is_never_worth_it() -> None:
    board = Board()
    board.school("fast", first_s=0.001, token_s=0.0001, answers=3)
    board.school("slow", first_s=0.3, token_s=0.0001)
    board.join("fast")
    board.submit("running", prompt_tokens=950)
    board.join("slow")
    assert board.submit("j", prompt_tokens=950) == "slow"
    assert (board.scores()["slow"] or 1) < soonest.HOLD_FROM_S


def test_job_that_was_held_long_enough_takes_what_is_free() -> None:
    board = uneven(slow_first_s=10.0)
    board.submit("j", prompt_tokens=950)
    board.progress("running")
    for n in range(2, 200):
        board.wait(0.25)
        board.progress("running", n)
        if board.owner("j"):
            break
    assert board.owner("j") == "slow"
    waited_s = board.decisions()[-1].waited_s
    assert soonest.HOLD_MAX_S < waited_s <= soonest.HOLD_MAX_S + 0.25


def test_interrupted_answer_is_never_held_back() -> None:
    board = Board()
    for name, first_s in (("fast", 0.1), ("fastest", 0.01), ("slow", 10.0)):
        board.school(name, first_s=first_s, token_s=0.01, answers=3)
    for name in ("fast", "fastest"):
        board.join(name)
        assert board.submit(f"on {name}", prompt_tokens=950) == name
    board.join("slow")
    assert board.submit("new", prompt_tokens=950) == ""
    board.leave("fastest")
    assert board.owner("on fastest") == "slow"
    assert board.owner("new") == ""


def test_backlog_makes_holding_rarer() -> None:
    for waiting, owner in ((1, ""), (12, "slow")):
        board = uneven(slow_first_s=4.0)
        board.do(events.ModelsKnown(("served by nobody",)))
        for n in range(waiting):
            assert board.submit(f"w{n}", model_name="served by nobody") == ""
        assert board.submit("j", prompt_tokens=950) == owner


def test_job_does_not_wait_for_an_instance_that_serves_another_revision() -> None:
    board = uneven(slow_first_s=10.0)
    newer = ServedModel("tiny", 8192, 4096, revision="2")
    board.do(events.InstanceChanged("slow", (newer,), 1))
    target = AliasTarget("tiny", 1.0, revision="2")
    board.do(events.CatalogChanged((Alias("newer", (target,)),)))
    assert board.submit("any", prompt_tokens=950) == ""
    assert board.submit("j", prompt_tokens=950, model_name="newer") == "slow"


def test_job_does_not_wait_for_an_instance_that_reads_too_little() -> None:
    board = uneven(slow_first_s=10.0)
    small = ServedModel("tiny", 900, 100)
    board.do(events.InstanceChanged("fast", (small,), 1))
    assert board.submit("j", prompt_tokens=950, least_prompt_tokens=900) == "slow"
