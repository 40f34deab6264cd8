"""A state that was written down and read back goes on exactly as the original does.

Replay, snapshots and the router's restart rest on this.
"""

from collections.abc import Iterator
from copy import deepcopy
from random import Random
from typing import Any

import msgspec
import pytest

from apps.router.core import events
from apps.router.core.selection.rules import RULES
from apps.router.core.settings import CoreSettings
from apps.router.core.state import RouterState, state_decode, state_encode
from apps.router.core.step import step
from apps.router.core.values import (
    Alias,
    AliasTarget,
    FailureCode,
    Offer,
    ServedModel,
    ServiceClass,
)

MODELS = tuple(
    ServedModel(name, 4096, 2048, revision=revision, can_continue=name == "m1")
    for name in ("m1", "m2")
    for revision in ("1", "2")
)
CLASSES = list(ServiceClass)


class Course:
    """Draws events that fit the state, so that most of them do something."""

    def __init__(self, state: RouterState, seed: int) -> None:
        self.state, self.now, self.made = state, 0.0, 0
        self.draws = Random(seed)  # noqa: S311 # draws that come again

    def drawn(self, count: int) -> Iterator[tuple[events.Event, float]]:
        """Yield events with their times; step the state with each before taking the next."""
        for _ in range(count):
            self.now += self.draws.expovariate(2.0)
            self.made += 1
            kinds = [self.join, self.ask, self.ask, self.go_on, self.go_on, self.go_on]
            kinds += [self.beat, self.time, self.leave_or_fail, self.catalog]
            yield self.draws.choice(kinds)(), self.now

    def join(self) -> events.Event:
        """Connect one of eight instances, perhaps once more."""
        name = f"i{self.draws.randrange(8)}"
        models = tuple(self.draws.sample(MODELS, 2))
        offers = tuple(Offer(j.job_id, j.attempt) for j in self.state.jobs.values())[:2]
        session, slots = f"{name}/{self.made}", self.draws.randrange(1, 5)
        return events.InstanceJoined(session, name, name, models, slots, offers, "far")

    def ask(self) -> events.Event:
        """Hand in a job."""
        number = self.draws.randrange(5)
        return events.JobSubmitted(
            f"j{self.made}",
            f"u{number}",
            self.draws.choice(CLASSES),
            self.draws.choice([None, "m1", "m2", "chat"]),
            prompt_tokens=self.draws.randrange(2000),
            conversation=f"c{number}",
        )

    def go_on(self) -> events.Event:
        """Let a running job progress or end."""
        running = [j for j in self.state.jobs.values() if j.session and j.running]
        if not running:
            return events.TimePassed()
        job = self.draws.choice(running)
        tokens = job.running.tokens + self.draws.randrange(20) if job.running else 0
        if self.draws.random() < 0.6:
            return events.JobProgressed(job.job_id, job.attempt, tokens)
        prompt = self.draws.randrange(2000)
        return events.AttemptDone(
            job.session or "", job.job_id, job.attempt, "stop", prompt, tokens, prompt // 3
        )

    def beat(self) -> events.Event:
        """Let an instance speak."""
        if not self.state.instances:
            return events.TimePassed()
        instance = self.draws.choice(list(self.state.instances.values()))
        running = list(instance.open_jobs)[: self.draws.randrange(4)]
        return events.HeartbeatReceived(instance.session, tuple(running), instance.slots)

    def time(self) -> events.Event:
        """Let time pass."""
        self.now += self.draws.choice([0.0, 0.2, 0.2, 1.2, 6.0])
        return events.TimePassed()

    def leave_or_fail(self) -> events.Event:
        """Break a link, pause, fail a job, or let a reader leave."""
        running = [j for j in self.state.jobs.values() if j.session]
        if not running:
            return events.TimePassed()
        job, kind = self.draws.choice(running), self.draws.randrange(7)
        if kind == 0:
            return events.LinkBroken(job.session or "")
        if kind == 1:
            return events.JobCancelled(job.job_id, "left")
        if kind in (2, 3):
            models = () if kind == 2 else tuple(self.draws.sample(MODELS, 2))
            return events.InstanceChanged(job.session or "", models, 3)
        code = self.draws.choice([FailureCode.ENGINE_ERROR, FailureCode.OVERLOADED])
        return events.AttemptFailed(job.session or "", job.job_id, job.attempt, code, "boom")

    def catalog(self) -> events.Event:
        """Change what an alias means."""
        targets = (AliasTarget("m1", 9.0), AliasTarget("m2", self.draws.random(), revision="2"))
        return events.CatalogChanged((Alias("chat", targets),))


def plain(state: RouterState) -> dict[str, Any]:
    """Return a state as plain values; a set has no order that anything could rest on."""
    values: dict[str, Any] = msgspec.to_builtins(state)
    return {**values, "known_models": sorted(state.known_models)}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("seed", range(4))
def test_going_on_from_the_copy_gives_exactly_the_same_effects(rule: str, seed: int) -> None:
    state = RouterState(settings=CoreSettings(rule=rule, seed=seed))
    course = Course(state, seed)
    for event, now in course.drawn(200 + 37 * seed):
        step(state, event, now)
    assert state.jobs
    assert state.instances
    copy = state_decode(state_encode(state))
    effects = 0
    for event, now in course.drawn(300):
        before = step(state, event, now)
        assert step(copy, event, now) == before
        effects += len(before)
    assert effects > 100
    assert plain(copy) == plain(state)


def test_copy_shares_each_record_with_its_instance_as_the_original_does() -> None:
    state = RouterState()
    course = Course(state, 9)
    for event, now in course.drawn(200):
        step(state, event, now)
    copy = state_decode(state_encode(state))
    assert copy.instances
    for instance in copy.instances.values():
        assert instance.record is copy.records[instance.instance_id]


def test_a_copy_is_a_copy() -> None:
    state = RouterState()
    course = Course(state, 5)
    for event, now in course.drawn(150):
        step(state, event, now)
    copy, kept = state_decode(state_encode(state)), deepcopy(msgspec.to_builtins(state))
    for event, now in course.drawn(50):
        step(copy, event, now)
    assert msgspec.to_builtins(state) == kept


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"jobs": 3}', b'{"records": {"a": 1}}'])
def test_what_is_no_state_is_refused(data: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        state_decode(data)
