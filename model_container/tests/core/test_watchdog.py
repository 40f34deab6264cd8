"""When an engine is given up, and when it is not."""

import pytest

from motherfluxer_model.core.watchdog import Estimate, Patience, Watchdog

PATIENCE = Patience()


class Bench:
    """A watchdog and a clock, looked at as often as in the container."""

    def __init__(self, *, knows_pace: bool = True) -> None:
        self.dog = Watchdog(PATIENCE, is_loading=False)
        self.now_s = 0.0
        self.handle = 0
        if knows_pace:
            for _ in range(10):
                self.answer(chars=1000, first_s=0.2, gap_s=0.05)

    def start(self, chars: int = 1000) -> int:
        self.handle += 1
        self.dog.began(self.handle, chars, self.now_s)
        return self.handle

    def answer(self, *, chars: int, first_s: float, gap_s: float, read_tokens: int = 0) -> None:
        handle = self.start(chars)
        self.now_s += first_s
        for _ in range(5):
            self.dog.heard(handle, self.now_s)
            self.now_s += gap_s
        self.dog.ended(handle, self.now_s, read_tokens or chars // 4)

    def verdict_within(self, seconds: float) -> str | None:
        """Look four times a second; give the first verdict, the clock at its time."""
        end = self.now_s + seconds
        while self.now_s < end:
            self.now_s += 0.25
            if (why := self.dog.judge(self.now_s)) is not None:
                return why
        return None


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_idle_engine_may_be_silent(bench: Bench) -> None:
    assert bench.verdict_within(3600) is None


def test_engine_that_stops_in_the_middle_is_given_up(bench: Bench) -> None:
    handle = bench.start()
    bench.dog.heard(handle, bench.now_s)
    since_s = bench.now_s
    why = bench.verdict_within(60)
    assert why is not None
    assert "no token" in why
    assert bench.now_s - since_s <= PATIENCE.gap_floor_s + 0.5


def test_engine_that_never_begins_is_given_up(bench: Bench) -> None:
    bench.start()
    assert bench.verdict_within(PATIENCE.first_floor_s - 1) is None
    assert bench.verdict_within(2) is not None


def test_a_long_prompt_may_take_longer(bench: Bench) -> None:
    bench.start(chars=200_000)  # at the usual pace 40 s
    assert bench.verdict_within(60) is None
    assert bench.verdict_within(300) is not None


def test_prompts_that_wait_for_each_other_may_take_longer(bench: Bench) -> None:
    first = bench.start(chars=100_000)
    bench.start(chars=100_000)
    bench.now_s += 20.0
    bench.dog.judge(bench.now_s)
    bench.dog.heard(first, bench.now_s)
    assert bench.verdict_within(35) is None


def test_prompts_that_are_remembered_do_not_make_the_others_late(bench: Bench) -> None:
    for _ in range(100):
        bench.answer(chars=8000, first_s=0.02, gap_s=0.05, read_tokens=10)
    bench.start(chars=80_000)  # 20,000 tokens, cold: 16 s at the pace of the first ones
    assert bench.verdict_within(60) is None


def test_prompt_that_waited_for_another_teaches_nothing(bench: Bench) -> None:
    count = bench.dog.reading.count
    first, second = bench.start(), bench.start()
    for handle in (first, second):
        bench.dog.heard(handle, bench.now_s + 1)
        bench.dog.ended(handle, bench.now_s + 1, 100)
    assert bench.dog.reading.count == count + 1


def test_token_of_one_job_is_a_sign_of_life_for_all(bench: Bench) -> None:
    quiet, busy = bench.start(), bench.start()
    bench.dog.heard(quiet, bench.now_s)
    for _ in range(100):
        bench.now_s += 1.0
        bench.dog.heard(busy, bench.now_s)
        assert bench.dog.judge(bench.now_s) is None


def test_steps_without_a_token_are_a_sign_of_life(bench: Bench) -> None:
    handle = bench.start()
    bench.dog.heard(handle, bench.now_s)
    for steps in range(1, 100):
        bench.now_s += 1.0
        bench.dog.ponged(steps, bench.now_s)
        assert bench.dog.judge(bench.now_s) is None
    assert bench.verdict_within(PATIENCE.gap_floor_s + 1) is not None


def test_slow_engine_is_known_to_be_slow() -> None:
    bench = Bench(knows_pace=False)
    for _ in range(10):
        bench.answer(chars=1000, first_s=20.0, gap_s=3.0)
    handle = bench.start()
    bench.dog.heard(handle, bench.now_s)
    assert bench.verdict_within(6.0) is None


def test_nothing_is_learned_from_one_answer_alone() -> None:
    bench = Bench(knows_pace=False)
    bench.start()
    assert bench.verdict_within(PATIENCE.first_cap_s - 1) is None
    assert bench.verdict_within(2) is not None


def test_unanswered_ping_is_the_end(bench: Bench) -> None:
    bench.dog.pinged(bench.now_s)
    bench.dog.pinged(bench.now_s + 1)
    assert bench.verdict_within(PATIENCE.pong_s) is None
    assert bench.verdict_within(1) is not None


def test_answered_ping_is_not(bench: Bench) -> None:
    bench.dog.pinged(bench.now_s)
    bench.dog.ponged(0, bench.now_s + 1)
    assert bench.verdict_within(100) is None


def test_loading_process_may_take_longer_to_answer() -> None:
    bench = Bench(knows_pace=False)
    bench.dog.is_loading = True
    bench.dog.pinged(bench.now_s)
    assert bench.verdict_within(PATIENCE.loading_pong_s - 1) is None
    assert bench.verdict_within(2) is not None


def test_cancelled_job_that_does_not_end_is_the_end(bench: Bench) -> None:
    stuck, busy = bench.start(), bench.start()
    for handle in (stuck, busy):
        bench.dog.heard(handle, bench.now_s)
    bench.dog.stopped(stuck, bench.now_s)
    why, since_s = None, bench.now_s
    while why is None and bench.now_s < since_s + 60:
        bench.now_s += 1.0
        bench.dog.heard(busy, bench.now_s)
        why = bench.dog.judge(bench.now_s)
    assert why is not None
    assert "cancelled" in why
    assert bench.now_s - since_s == pytest.approx(PATIENCE.stop_s, abs=2)


def test_own_pause_blames_nobody(bench: Bench) -> None:
    handle = bench.start()
    bench.dog.heard(handle, bench.now_s)
    bench.dog.pinged(bench.now_s)
    bench.dog.stopped(handle, bench.now_s)
    bench.dog.judge(bench.now_s)
    bench.now_s += 1000.0
    assert bench.dog.judge(bench.now_s) is None
    assert bench.verdict_within(4) is None
    assert bench.verdict_within(4) is not None


def test_overdue_engine_is_doubted_before_it_is_given_up(bench: Bench) -> None:
    handle = bench.start()
    bench.dog.heard(handle, bench.now_s)
    assert not bench.dog.is_doubtful(bench.now_s + 0.5)
    assert bench.dog.is_doubtful(bench.now_s + 1.5)
    assert bench.dog.judge(bench.now_s + 1.5) is None
    bench.dog.heard(handle, bench.now_s + 1.5)
    assert not bench.dog.is_doubtful(bench.now_s + 1.5)


def test_unanswered_ping_is_doubted_at_once(bench: Bench) -> None:
    bench.dog.pinged(bench.now_s)
    assert not bench.dog.is_doubtful(bench.now_s + 0.5)
    assert bench.dog.is_doubtful(bench.now_s + 1.0)


def test_engine_of_unknown_pace_is_not_doubted_for_a_late_token() -> None:
    bench = Bench(knows_pace=False)
    bench.start()
    assert not bench.dog.is_doubtful(bench.now_s + 30)


def test_long_prompt_is_no_reason_to_doubt(bench: Bench) -> None:
    bench.start(chars=200_000)
    assert not bench.dog.is_doubtful(bench.now_s + 60)


def test_estimate_follows_what_it_sees() -> None:
    estimate = Estimate()
    for _ in range(100):
        estimate.add(2.0)
    assert estimate.mean == pytest.approx(2.0)
    assert estimate.deviation < 0.01
    assert estimate.late(2, 6) == pytest.approx(12.0)
    for _ in range(100):
        estimate.add(4.0)
    assert estimate.mean == pytest.approx(4.0, rel=0.01)
