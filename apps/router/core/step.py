"""The router's one function: an event and the time in, effects out. Pure."""

from collections.abc import Callable
from typing import Any

from apps.router.core import catalog, endings, events, fleet, places, requests, watch
from apps.router.core.dispatch import dispatch_waiting
from apps.router.core.effects import Effect
from apps.router.core.state import RouterState

Handler = Callable[[RouterState, Any, float], list[Effect]]


def _time_passed(state: RouterState, event: events.TimePassed, now: float) -> list[Effect]:
    effects = watch.time_passed(state, now)
    if state.queue:
        # A held job may have waited long enough, an ejection may be over.
        state.has_news = True
        effects += requests.refuse_overdue(state, now)
        requests.redraw_targets(state)
        effects += places.make_room(state, now)
    return effects


HANDLERS: dict[type[events.Event], Handler] = {
    events.InstanceJoined: fleet.instance_joined,
    events.InstanceChanged: fleet.instance_changed,
    events.InstanceHeard: fleet.instance_heard,
    events.HeartbeatReceived: fleet.heartbeat_received,
    events.InstanceDraining: fleet.instance_draining,
    events.LinkBroken: fleet.link_broken,
    events.JobSubmitted: requests.job_submitted,
    events.JobCancelled: requests.job_cancelled,
    events.RequesterLeft: requests.requester_left,
    events.JobProgressed: requests.job_progressed,
    events.TokensCounted: requests.tokens_counted,
    events.ModelsKnown: requests.models_known,
    events.CatalogChanged: catalog.catalog_changed,
    events.AttemptDone: endings.attempt_done,
    events.AttemptFailed: endings.attempt_failed,
    events.AttemptLost: endings.attempt_gone,
    events.TimePassed: _time_passed,
}


def step(state: RouterState, event: events.Event, now: float) -> list[Effect]:
    """Apply one event to the state and return what is to be done, in order.

    `now` is in seconds on any clock that does not go backwards.
    """
    effects = HANDLERS[type(event)](state, event, now)
    effects += dispatch_waiting(state, now)
    if isinstance(event, events.JobSubmitted):
        effects += places.show_place_of(state, event.job_id, now)
    elif isinstance(event, events.TimePassed) and state.queue:
        effects += places.show_places(state, now)
    return effects
