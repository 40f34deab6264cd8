"""How guesses are counted and slowed: the ladder, the guard over an injected clock, and words."""

import threading
from collections.abc import Iterator

import pytest
from limits.storage import MemoryStorage

from apps.accounts.guarding import ladder
from apps.accounts.guarding.guard import Guard, Scope
from apps.accounts.guarding.ladder import Ladder
from apps.accounts.guarding.words import wait_words
from tests.clock import Clock, stand_still

SHORT = Ladder(
    free_count=3, lock_count=5, first_wait_s=2, lock_wait_s=60, most_wait_s=200, window_s=1000
)
ACCOUNT = Scope("account:a", SHORT)
NETWORK = Scope("network:n", SHORT)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The time as the counters and the guard see it."""
    return stand_still(monkeypatch)


@pytest.fixture
def guard(clock: Clock) -> Iterator[Guard]:
    """A guard over counters in memory."""
    counters = MemoryStorage()
    yield Guard(counters, clock)
    counters.timer.cancel()


def test_waits_grow_and_stop_growing() -> None:
    waits = [SHORT.wait_s(wrong) for wrong in range(9)]
    assert waits == [0, 0, 0, 2, 4, 60, 120, 200, 200]
    assert SHORT.wait_s(100_000) == 200


@pytest.mark.parametrize(
    "rungs", [ladder.ACCOUNT, ladder.NETWORK, ladder.DEVICE, ladder.SECOND_STEP]
)
def test_no_ladder_locks_anybody_for_more_than_an_hour(rungs: Ladder) -> None:
    waits = [rungs.wait_s(wrong) for wrong in range(200)]
    assert waits == sorted(waits)
    assert max(waits) == 3600


def test_a_guesser_waits_longer_each_time(guard: Guard, clock: Clock) -> None:
    assert [guard.admit([ACCOUNT]) for _ in range(3)] == [0, 0, 0]
    assert guard.admit([ACCOUNT]) == 2
    clock.now += 2
    assert guard.admit([ACCOUNT]) == 0
    assert guard.admit([ACCOUNT]) == 4
    clock.now += 4
    assert guard.admit([ACCOUNT]) == 0
    assert guard.admit([ACCOUNT]) == 60


def test_knocking_while_one_must_wait_makes_it_no_longer(guard: Guard, clock: Clock) -> None:
    for _ in range(100):
        guard.admit([ACCOUNT])
    assert guard.admit([ACCOUNT]) == 2
    clock.now += 1
    assert guard.admit([ACCOUNT]) == 1


def test_guesses_on_one_day_are_few_however_patient(clock: Clock) -> None:
    counters = MemoryStorage()
    guard = Guard(counters, clock)
    scope = Scope("account:a", ladder.ACCOUNT)
    admitted = 0
    for _ in range(24 * 3600 - 1):
        admitted += guard.admit([scope]) == 0
        clock.now += 1
    counters.timer.cancel()
    assert 30 <= admitted <= 40


def test_the_count_begins_anew_after_the_window(guard: Guard, clock: Clock) -> None:
    for _ in range(4):
        guard.admit([ACCOUNT])
    clock.now += SHORT.window_s
    assert guard.admit([ACCOUNT]) == 0
    assert guard.admit([ACCOUNT]) == 0


def test_a_right_guess_ends_the_accounts_count_but_not_the_networks(guard: Guard) -> None:
    for _ in range(3):
        guard.admit([NETWORK, ACCOUNT])
    guard.forget(ACCOUNT)
    guard.give_back(NETWORK)
    assert guard.admit([ACCOUNT]) == 0
    assert guard.admit([NETWORK]) == 2


def test_what_one_scope_refuses_counts_for_none(guard: Guard, clock: Clock) -> None:
    for _ in range(3):
        guard.admit([ACCOUNT])
    for _ in range(50):
        assert guard.admit([NETWORK, ACCOUNT]) > 0
    assert [guard.admit([NETWORK]) for _ in range(3)] == [0, 0, 0]


def test_the_owner_is_told_of_a_lock_once(guard: Guard, clock: Clock) -> None:
    told = []
    for _ in range(9):
        if guard.admit([ACCOUNT]) == 0:
            told.append(guard.is_news(ACCOUNT))
        clock.now += 100
    assert told.count(True) == 1
    assert told.index(True) == SHORT.lock_count - 1


def test_two_hundred_guesses_at_once_are_as_many_as_one_after_another(guard: Guard) -> None:
    admitted: list[bool] = []
    begin = threading.Barrier(50)

    def guess() -> None:
        begin.wait()
        admitted.extend(guard.admit([ACCOUNT]) == 0 for _ in range(4))

    threads = [threading.Thread(target=guess) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(admitted) == 200
    assert sum(admitted) <= SHORT.free_count


@pytest.mark.parametrize(
    ("wait_s", "words"),
    [(1, "1 second"), (32, "32 seconds"), (91, "2 minutes"), (900, "15 minutes")],
)
def test_a_wait_is_said_as_people_would(wait_s: int, words: str) -> None:
    assert wait_words(wait_s) == words
