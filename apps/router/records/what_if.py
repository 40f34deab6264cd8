"""What would have been under another rule or other settings. Pure.

Instances come, speak, break off and go as recorded, and users ask and leave as recorded. An
attempt that begins exactly as recorded goes on as recorded: so nothing changed changes nothing.
Any other one takes its course from what the record says of its job and its instance.
`docs/routing-log.md` says what that leaves out.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from heapq import heappop, heappush
from typing import Final

import msgspec

from apps.router.core import events
from apps.router.core.effects import AssignJob, CancelAttempt, Effect
from apps.router.core.state import RouterState
from apps.router.core.step import step
from apps.router.core.values import AttemptOutcome, Offer
from apps.router.records.courses import Course, Courses
from apps.router.records.history import History
from apps.router.records.segments import Line, effect_lines

AttemptKey = tuple[str, int]
OfAttempt = events.JobProgressed | events.TokensCounted | events.AttemptDone | events.AttemptFailed

_LET_GO_S: Final = 0.05
"""An instance that is told to stop says so after this time."""

_AWAY_S: Final = 0.25
"""An attempt whose link is broken is looked at again after this time."""


class WhatIf:
    """Steps a core of its own over a record; yields lines like those of a recorded file."""

    def __init__(self, state: RouterState, history: History, lines: Sequence[Line]) -> None:
        self.state = state
        self._history = history
        self._lines = lines
        self._courses = Courses(history)
        self._recorded: dict[AttemptKey, list[tuple[int, Line]]] = {}
        for number, line in enumerate(lines):
            if isinstance(line.event, OfAttempt):
                key = line.event.job_id, line.event.attempt
                self._recorded.setdefault(key, []).append((number, line))
        self._forgetful = history.forgetful_sessions()
        self._as_recorded: set[AttemptKey] = set()
        # By time, then as in the record, then as planned here: a course, or what just happens.
        self._due: list[tuple[float, int, OfAttempt | Course]] = []
        self._order = len(lines)
        for job in state.jobs.values():
            self._go_on_as_recorded((job.job_id, job.attempt))

    def run(self, tell: Callable[[int], None]) -> Iterator[Line]:
        """Yield what happens instead; `tell` hears of the recorded lines so far."""
        for number, line in enumerate(self._lines):
            if line.at is None or line.event is None or isinstance(line.event, OfAttempt):
                continue
            yield from self._attempts_until(line.at, number)
            yield from self._apply(self._as_it_is_here(line.event), line.at)
            tell(number)
        last_at = max((line.at for line in self._lines if line.at is not None), default=0.0)
        yield from self._attempts_until(last_at, sys.maxsize)

    def _attempts_until(self, end: float, number: int) -> Iterator[Line]:
        """Let the attempts go on until a recorded line's turn."""
        while self._due and self._due[0][:2] < (end, number):
            at, _, due = heappop(self._due)
            yield from self._attempt_goes_on(due, at)

    def _attempt_goes_on(self, due: OfAttempt | Course, at: float) -> Iterator[Line]:
        if isinstance(due, Course):
            job = self.state.jobs.get(due.job_id)
            if job is None or job.attempt != due.attempt:
                return
            if job.session is None:
                self._plan(at + _AWAY_S, due)
                return
            event: OfAttempt = due.event_at(at, job.session)
            if (following := due.following(at, self.state.settings.progress_s)) is not None:
                self._plan(following, due)
        else:
            event = due
        yield from self._apply(event, at)

    def _as_it_is_here(self, event: events.Event) -> events.Event:
        """Let an instance speak of the jobs that it has here."""
        if isinstance(event, events.HeartbeatReceived):
            return self._own_heartbeat(event)
        if isinstance(event, events.InstanceJoined):
            return self._own_offers(event)
        return event

    def _own_heartbeat(self, event: events.HeartbeatReceived) -> events.HeartbeatReceived:
        instance = self.state.instances.get(event.session)
        running = tuple(
            job_id
            for job_id, attempt in (instance.open_jobs.items() if instance else ())
            if job_id in event.running or (job_id, attempt) not in self._as_recorded
        )
        return msgspec.structs.replace(event, running=running)

    def _own_offers(self, event: events.InstanceJoined) -> events.InstanceJoined:
        """An instance that came back offers what it had, unless it had lost all by then."""
        kept = [o for o in event.offers if (o.job_id, o.attempt) in self._as_recorded]
        if event.offers or event.session not in self._forgetful:
            kept += [
                Offer(job.job_id, job.attempt)
                for job in self.state.jobs.values()
                if job.owner_id == event.instance_id
                and (job.job_id, job.attempt) not in self._as_recorded
            ]
        return msgspec.structs.replace(event, offers=tuple(kept))

    def _apply(self, event: events.Event, at: float) -> Iterator[Line]:
        effects = step(self.state, event, at)
        yield Line(at=at, event=event)  # type: ignore[arg-type]  # a union of all kinds of events
        yield from effect_lines(effects)
        for effect in effects:
            self._perform(effect, at)

    def _perform(self, effect: Effect, at: float) -> None:
        if isinstance(effect, AssignJob):
            self._begin(effect, at)
        elif isinstance(effect, CancelAttempt):
            key = effect.job_id, effect.attempt
            tried = self._history.find(*key) if key in self._as_recorded else None
            if tried is None or tried.outcome is AttemptOutcome.DONE:
                ids = (effect.session, *key)
                self._plan(at + _LET_GO_S, events.AttemptDone(*ids, "cancelled"))

    def _begin(self, assigned: AssignJob, at: float) -> None:
        key = assigned.job_id, assigned.attempt
        tried = self._history.find(*key)
        if tried and tried.session == assigned.session and tried.started_at == at:
            self._go_on_as_recorded(key)
            return
        job = self.state.jobs[assigned.job_id]
        course = self._courses.course_of(
            self.state, job, self.state.instances[assigned.session], at
        )
        first = course.first_at if course.first_at is not None else course.ends_at
        if first is not None:
            self._plan(first, course)

    def _go_on_as_recorded(self, key: AttemptKey) -> None:
        self._as_recorded.add(key)
        for number, line in self._recorded.get(key, ()):
            if line.at is not None and isinstance(line.event, OfAttempt):
                heappush(self._due, (line.at, number, line.event))

    def _plan(self, at: float, due: OfAttempt | Course) -> None:
        self._order += 1
        heappush(self._due, (at, self._order, due))
