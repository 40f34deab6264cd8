"""A clock that leaps: the router was away, and whoever it finds again is not blamed for it.

The live router reads a monotonic clock, which goes on over changes of the machine's time; a leap
is a pause of its own process, such as a suspended virtual machine.
"""

import pytest

from apps.router.core import effects, events
from apps.router.core.state import JobState, RouterState
from apps.router.core.step import step
from apps.router.core.values import ServedModel, ServiceClass

MODEL = ServedModel("m", 100, 100, can_continue=True)
TICK_S = 0.25


def running_state() -> RouterState:
    """Return a router with one instance that streams an answer and one that is idle."""
    state = RouterState()
    for name in ("streams", "idle"):
        step(state, events.InstanceJoined(name, name, name, (MODEL,), 1), 0.0)
    step(state, events.JobSubmitted("j", "user:1", ServiceClass.REGISTERED, "m"), 0.0)
    step(state, events.JobProgressed("j", 1, 1), 0.1)
    step(state, events.TimePassed(), TICK_S)
    return state


@pytest.mark.parametrize("leap_s", [2.0, 8.0, 3600.0, 1e9])
def test_leap_throws_nobody_out_and_takes_no_job_away(leap_s: float) -> None:
    state = running_state()
    done = step(state, events.TimePassed(), TICK_S + leap_s)
    done += step(state, events.TimePassed(), 2 * TICK_S + leap_s)
    assert not [one for one in done if isinstance(one, effects.CloseLink | effects.RequeueJob)]
    assert set(state.instances) == {"streams", "idle"}
    assert state.jobs["j"].state is JobState.RUNNING


def test_silence_after_a_leap_counts_from_the_leap() -> None:
    state, now = running_state(), 3600.0
    closed_at: dict[str, float] = {}
    for _ in range(40):
        now += TICK_S
        for one in step(state, events.TimePassed(), now):
            if isinstance(one, effects.CloseLink):
                closed_at[one.session] = now - 3600.0 - TICK_S
    assert set(closed_at) == {"streams", "idle"}
    assert closed_at["idle"] == pytest.approx(state.settings.silence_s, abs=2 * TICK_S)
