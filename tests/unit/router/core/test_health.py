"""How an instance's health changes: by what it does, and by nothing else."""

import pytest

from apps.router.core import effects, events
from apps.router.core.errors import IllegalHealthError
from apps.router.core.instances import TRANSITIONS, InstanceRecord
from apps.router.core.values import Health
from apps.router.core.watch import GONE_MOST
from tests.unit.router.core.board import TINY, Board, board_with, fail_on


def test_an_instance_is_joining_until_its_first_word_and_healthy_after_three_answers() -> None:
    board = Board()
    board.join("a")
    seen = [board.health("a")]
    board.beat("a")
    seen.append(board.health("a"))
    for n in range(3):
        board.submit(f"j{n}")
        board.done(f"j{n}", tokens=1)
        seen.append(board.health("a"))
    assert seen == [
        Health.JOINING,
        Health.PROBATION,
        Health.PROBATION,
        Health.PROBATION,
        Health.HEALTHY,
    ]


def test_three_answers_before_the_first_heartbeat_are_as_good() -> None:
    board = Board()
    board.join("a")
    for n in range(3):
        board.submit(f"j{n}")
        board.done(f"j{n}", tokens=1)
    assert board.health("a") is Health.HEALTHY


def test_known_instance_that_comes_back_is_healthy_at_its_first_word() -> None:
    board = board_with("a")
    board.leave("a")
    assert board.health("a") is Health.GONE
    board.join("a2", instance="a")
    assert board.health("a") is Health.JOINING
    board.beat("a2")
    assert board.health("a") is Health.HEALTHY


def test_new_link_tells_the_present_name() -> None:
    board = board_with("a")
    board.leave("a")
    board.do(events.InstanceJoined("a2", "a", "renamed", (TINY,), 1))
    assert board.record("a").name == "renamed"


def test_draining_instance_stays_so_until_it_is_gone() -> None:
    board = board_with("a")
    board.submit("j")
    board.do(events.InstanceDraining("a"))
    board.do(events.InstanceDraining("a"))
    board.fail("j")
    board.beat("a")
    assert board.health("a") is Health.DRAINING
    board.leave("a")
    assert board.health("a") is Health.GONE


def test_instance_is_slow_at_four_times_the_usual_and_no_longer_below_two_and_a_half() -> None:
    board = Board(rule="round-robin")
    for name in "abc":
        board.join(name)
        board.beat(name)
    seen = []
    for n, a_token_s in enumerate([0.03] * 3 + [0.05] * 6 + [0.027] * 6 + [0.01] * 6):
        for name in "abc":
            assert board.submit(f"{name}{n}") == name
            board.answer(f"{name}{n}", first_s=0.1, token_s=a_token_s if name == "a" else 0.01)
        seen.append(board.health("a"))
    # The learned mean moves by 0.3 of the difference: 0.040 after two answers of 0.05.
    slow_from, slow_until = seen.index(Health.SLOW), 20 - seen[::-1].index(Health.SLOW)
    assert seen[2:slow_from] == [Health.HEALTHY] * (slow_from - 2)
    assert (slow_from, slow_until) == (4, 14)
    assert seen[slow_until + 1 :] == [Health.HEALTHY] * (20 - slow_until)
    assert {board.health("b"), board.health("c")} == {Health.HEALTHY}


@pytest.mark.parametrize("old", Health)
@pytest.mark.parametrize("new", Health)
def test_only_the_tables_transitions_are_possible(old: Health, new: Health) -> None:
    record = InstanceRecord("i", "i", health=old)
    if new in TRANSITIONS[old]:
        record.move(new)
        assert record.health is new
    else:
        with pytest.raises(IllegalHealthError) as caught:
            record.move(new)
        assert (caught.value.instance_id, caught.value.old, caught.value.new) == ("i", old, new)
        assert record.health is old


# -- the record outlives the links -------------------------------------------------------------


@pytest.mark.parametrize("away_s", [0.0, 4.0, 20.0])
def test_reconnecting_washes_no_ejected_instance_clean(away_s: float) -> None:
    board = board_with("a", "b", rule="least-loaded")
    fail_on(board, "a")
    board.leave("a")
    board.wait(away_s)
    board.join("a2", instance="a", slots=4)
    board.beat("a2")
    assert board.health("a") is Health.EJECTED
    board.wait(max(0.25, 5.25 - away_s))
    for n in range(5):
        board.submit(f"j{n}")
    assert len(board.state.instances["a2"].open_jobs) == 1


def test_record_of_who_left_is_kept_for_an_hour() -> None:
    board = board_with("a", "b")
    board.leave("a")
    board.wait(3600.0, tick_s=1.0)
    assert "a" in board.state.records
    board.wait(1.0)
    assert set(board.state.records) == {"b"}


def test_endless_names_of_one_credential_push_out_its_own_oldest_records_alone() -> None:
    board = Board()
    for instance in ("honest/a", "hostile/connected"):
        board.join(instance)
    board.leave("honest/a")
    for number in range(2 * GONE_MOST + 1):
        board.join(f"hostile/{number}")
        board.leave(f"hostile/{number}")
        board.now += 0.001
    board.tick()
    newest = {f"hostile/{number}" for number in range(GONE_MOST + 1, 2 * GONE_MOST + 1)}
    assert set(board.state.records) == {"honest/a", "hostile/connected", *newest}


def test_record_of_who_came_back_stays() -> None:
    board = board_with("a")
    board.leave("a")
    board.wait(3000.0, tick_s=1.0)
    board.join("a2", instance="a")
    board.wait(3000.0, tick_s=1.0)
    assert board.health("a") is Health.HEALTHY
    assert not [e for e in board.told if isinstance(e, effects.CloseLink)]
