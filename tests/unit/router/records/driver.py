"""Drives the router's service with traffic that is random, plausible and the same each time."""

from heapq import heappop, heappush
from random import Random

from apps.router.core import effects, events
from apps.router.core.cluster import Witness
from apps.router.core.values import (
    Alias,
    AliasTarget,
    FailureCode,
    Offer,
    ServedModel,
    ServiceClass,
)
from apps.router.live.service import RouterService

MODELS = ("small", "large")
USERS = (*(f"user:{number}" for number in range(12)), "visitor:Jörg", "visitor:abc")


class Driver:
    """Instances of different speeds that fail, fall silent and come back; users who ask."""

    def __init__(
        self,
        seed: int,
        *,
        instances: int = 6,
        jobs_s: float = 2.0,
        recorder: Witness | None = None,
    ) -> None:
        self.draws = Random(seed)  # noqa: S311 - traffic, not secrets
        self.now = 1000.0
        self.service = RouterService(clock=lambda: self.now, recorder=recorder)
        self.due: list[tuple[float, int, events.Event]] = []
        self.made = 0
        self.jobs_s = jobs_s
        self.speeds = {f"i{n}": self.draws.uniform(0.01, 0.08) for n in range(instances)}
        self.sessions: dict[str, str] = {}
        self.made_decisions: list[effects.RecordDecision] = []

    def run(self, lasts_s: float) -> None:
        """Let so much time pass."""
        end = self.now + lasts_s
        self.publish(events.ModelsKnown(MODELS))
        self.publish(events.CatalogChanged((Alias("any", self._targets()),), ("forbidden",)))
        for name in self.speeds:
            self.join(name)
        while self.now < end:
            self.plan(0.25, events.TimePassed())
            self._make_something_happen()
            until = self.now + 0.25
            while self.due and self.due[0][0] <= until:
                self.now, _, event = heappop(self.due)
                self.publish(event)
            self.now = until

    def _targets(self) -> tuple[AliasTarget, ...]:
        return (AliasTarget("small", 0.7), AliasTarget("large", 0.3))

    def _make_something_happen(self) -> None:
        draw = self.draws.random
        for name, session in list(self.sessions.items()):
            instance = self.service.state.instances.get(session)
            if instance is None or draw() < 0.002:
                self.publish(events.LinkBroken(session))
                del self.sessions[name]
            elif draw() < 0.17:
                running = tuple(instance.open_jobs)
                self.publish(events.HeartbeatReceived(session, running, instance.slots))
        for name in self.speeds:
            if name not in self.sessions and draw() < 0.1:
                self.join(name)
        if draw() < self.jobs_s / 4:
            self.submit()
        if draw() < 0.01 and self.service.state.jobs:
            job_id = self.draws.choice(list(self.service.state.jobs))
            self.publish(events.JobCancelled(job_id, "left"))

    def join(self, name: str) -> None:
        """An instance connects, and offers what it had."""
        self.made += 1
        session = self.sessions[name] = f"{self.draws.getrandbits(64):016x}"
        models = tuple(ServedModel(model, 4096, 1024, can_continue=True) for model in MODELS)
        lost = [job for job in self.service.state.jobs.values() if job.owner_id == name]
        offers = tuple(Offer(job.job_id, job.attempt) for job in lost)
        slots = int(name[1:]) % 3 + 1
        self.publish(events.InstanceJoined(session, name, f"Name {name}", models, slots, offers))

    def submit(self) -> None:
        """Somebody asks, now and then for something that is not there."""
        self.made += 1
        choice = self.draws.choice
        who = choice(list(ServiceClass)[:2])
        asked = choice([None, "small", "large", "any", "any", "my secret words", "forbidden"])
        size, user = self.draws.randrange(20, 900), choice(USERS)
        self.publish(
            events.JobSubmitted(
                f"j{self.made}", user, who, asked, True, size, size // 4, f"talk of {user}"
            )
        )

    def plan(self, after_s: float, event: events.Event) -> None:
        """Have something happen later."""
        self.made += 1
        heappush(self.due, (self.now + after_s, self.made, event))

    def publish(self, event: events.Event) -> None:
        """Tell the core, and do what it says."""
        for effect in self.service.handle(event):
            if isinstance(effect, effects.AssignJob):
                self._answer(effect)
            elif isinstance(effect, effects.CancelAttempt):
                ids = (effect.session, effect.job_id, effect.attempt)
                self.plan(0.05, events.AttemptDone(*ids, "cancelled"))
            elif isinstance(effect, effects.RecordDecision):
                self.made_decisions.append(effect)

    def _answer(self, assigned: effects.AssignJob) -> None:
        ids = (assigned.session, assigned.job_id, assigned.attempt)
        token_s = self.speeds[self.service.state.instances[assigned.session].instance_id]
        luck, tokens = self.draws.random(), self.draws.randrange(5, 150)
        if luck < 0.02:
            return  # nothing ever comes
        if luck < 0.06:
            words = f"could not answer {assigned.job_id}: my secret words"
            self.plan(0.01, events.AttemptFailed(*ids, FailureCode.ENGINE_ERROR, words))
            return
        first_s = 10 * token_s
        steps = range(0, tokens, max(1, int(1 / token_s)))
        for token in steps:
            told = events.JobProgressed(assigned.job_id, assigned.attempt, token + 1, True)
            self.plan(first_s + token * token_s, told)
        done = events.AttemptDone(*ids, "stop", 50, tokens, 0)
        self.plan(first_s + tokens * token_s, done)
