"""The router's one function: an event and the time in, effects out. Pure."""

from collections.abc import Callable
from typing import Any

from apps.router.core import endings, events, fleet, requests
from apps.router.core.dispatch import dispatch_waiting
from apps.router.core.effects import Effect
from apps.router.core.state import RouterState

Handler = Callable[[RouterState, Any, float], list[Effect]]


def _time_passed(state: RouterState, event: events.TimePassed, now: float) -> list[Effect]:
    return [*fleet.close_silent_links(state, now), *requests.refuse_overdue(state, now)]


HANDLERS: dict[type[events.Event], Handler] = {
    events.InstanceJoined: fleet.instance_joined,
    events.InstanceChanged: fleet.instance_changed,
    events.InstanceHeard: fleet.instance_heard,
    events.HeartbeatReceived: fleet.heartbeat_received,
    events.InstanceDraining: fleet.instance_draining,
    events.LinkBroken: fleet.link_broken,
    events.JobSubmitted: requests.job_submitted,
    events.JobCancelled: requests.job_cancelled,
    events.JobProgressed: requests.job_progressed,
    events.ModelsKnown: requests.models_known,
    events.AttemptDone: endings.attempt_done,
    events.AttemptFailed: endings.attempt_failed,
    events.TimePassed: _time_passed,
}


def step(state: RouterState, event: events.Event, now: float) -> list[Effect]:
    """Apply one event to the state and return what is to be done, in order.

    `now` is in seconds on any clock that does not go backwards.
    """
    effects = HANDLERS[type(event)](state, event, now)
    effects += dispatch_waiting(state, now)
    if isinstance(event, events.JobSubmitted):
        effects += requests.show_place_of(state, event.job_id)
    elif isinstance(event, events.TimePassed):
        effects += requests.show_places(state)
    return effects
