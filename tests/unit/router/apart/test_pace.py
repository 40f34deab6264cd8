"""What is written at once, and what has to wait its turn."""

import asyncio

from apps.router.apart.pace import Pace

AN_HOUR_S = 3600.0


class Woken:
    """Counts how often somebody was woken."""

    def __init__(self, every_s: float = AN_HOUR_S) -> None:
        self.count = 0
        self.pace = Pace(wake=self.wake, every_s=every_s)

    def wake(self) -> None:
        self.count += 1


async def test_first_round_is_at_once() -> None:
    woken = Woken()
    assert woken.pace.is_due
    woken.pace.wake_when_due()
    assert woken.count == 0  # never while somebody is asking
    await asyncio.sleep(0.01)
    assert woken.count == 1


async def test_next_round_waits_its_turn() -> None:
    woken = Woken()
    woken.pace.begin_round()
    assert not woken.pace.is_due
    woken.pace.wake_when_due()
    await asyncio.sleep(0.05)
    assert woken.count == 0


async def test_many_who_ask_are_woken_once() -> None:
    woken = Woken(every_s=0.01)
    for _ in range(2):
        woken.pace.begin_round()
        for _ in range(5):
            woken.pace.wake_when_due()
        await asyncio.sleep(0.2)
    assert woken.count == 2


async def test_hold_puts_the_next_round_off() -> None:
    woken = Woken(every_s=0.0)
    woken.pace.begin_round()
    assert woken.pace.is_due
    woken.pace.hold(AN_HOUR_S)
    assert not woken.pace.is_due


async def test_a_round_that_comes_before_its_time_takes_all_along() -> None:
    woken = Woken(every_s=0.01)
    woken.pace.wake_when_due()
    woken.pace.begin_round()
    await asyncio.sleep(0.05)
    assert woken.count == 0


async def test_what_was_put_off_comes_sooner_after_an_urgent_round() -> None:
    woken = Woken(every_s=0.01)
    woken.pace.hold(AN_HOUR_S)
    woken.pace.wake_when_due()
    woken.pace.begin_round()
    woken.pace.wake_when_due()
    await asyncio.sleep(0.2)
    assert woken.count == 1
