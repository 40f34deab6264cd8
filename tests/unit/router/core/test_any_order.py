"""Whatever happens in whatever order: one owner, one end, nothing leaks, and everybody in turn."""

from collections import Counter

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from apps.router.core import effects, events
from apps.router.core.effects import AssignJob
from apps.router.core.eligibility import model_for
from apps.router.core.instances import Instance
from apps.router.core.selection.soonest import HOLD_MAX_S
from apps.router.core.settings import CoreSettings
from apps.router.core.state import Job, JobState, RouterState
from apps.router.core.step import step
from apps.router.core.values import FailureCode, Health, Offer, ServedModel, ServiceClass

NAMES = st.sampled_from(["a", "b", "c"])
MODELS = st.sampled_from(["m1", "m2"])
USERS = st.sampled_from(["u1", "u2", "u3"])
PICK = st.integers(min_value=0, max_value=10**6)
SETTINGS = CoreSettings(ageing_s=6.0)


def could_run(state: RouterState, instance: Instance, job: Job) -> bool:
    """Whether an instance could have a job, were there a slot. Of an ejected one nobody knows."""
    if instance.record.health in (Health.EJECTED, Health.DRAINING):
        return False
    model = model_for(state, instance, job)
    if model is None or job.has_failed_on(instance.instance_id):
        return False
    served = instance.models[model]
    if job.has_text and not served.can_continue:
        return False
    return job.least_prompt_tokens < served.context_tokens and job.job_id not in instance.open_jobs


class AnyOrder(RuleBasedStateMachine):
    """Drives the core with events that may be stale, doubled or wrong."""

    def __init__(self) -> None:
        super().__init__()
        self.state = RouterState(settings=SETTINGS)
        self.now = 0.0
        self.made = 0
        self.submitted: set[str] = set()
        self.ended: list[str] = []
        self.attempts: list[tuple[str, str, int]] = []

    def do(self, event: events.Event) -> None:
        """Apply an event and look at what it did."""
        turns = {c: dict(queue.turns) for c, queue in self.state.queue.classes.items()}
        interrupted = set(self.state.queue.interrupted)
        for effect in step(self.state, event, self.now):
            if isinstance(effect, effects.FinishJob | effects.RefuseJob):
                self.ended.append(effect.job_id)
            elif isinstance(effect, AssignJob):
                self.attempts.append((effect.session, effect.job_id, effect.attempt))
                self.assigned(effect, turns, is_new=effect.job_id not in interrupted)

    def assigned(
        self, effect: AssignJob, turns: dict[ServiceClass, dict[str, float]], *, is_new: bool
    ) -> None:
        """A slot was free, the attempt is within bounds, and nobody was overtaken."""
        instance = self.state.instances[effect.session]
        assert len(instance.open_jobs) <= instance.slots
        assert effect.attempt <= SETTINGS.max_attempts
        job = self.state.jobs[effect.job_id]
        if not is_new or effect.attempt > 1:
            return
        for job_id in self.state.queue.interrupted:
            assert not could_run(self.state, instance, self.state.jobs[job_id])
        own = turns[job.service_class]
        self.nobody_overtaken(instance, job, own.get(job.requester, self.now))
        own[job.requester] = self.now

    def nobody_overtaken(self, instance: Instance, job: Job, turn: float) -> None:
        """No user of the class whose turn is overdue for longer still waits for that instance."""
        queue = self.state.queue.classes[job.service_class]
        cap = SETTINGS.max_running_per_user[job.service_class]
        for user, waiting in queue.waiting.items():
            head = next(iter(waiting.values()))
            since = max(queue.turns[user], head.since)
            # A job may be held back for a faster instance at first.
            is_overdue = self.now - since > max(SETTINGS.ageing_s, HOLD_MAX_S)
            if user == job.requester or not is_overdue or queue.running.get(user, 0) >= cap:
                continue
            other = self.state.jobs[head.job_id]
            assert since >= turn or not could_run(self.state, instance, other)

    def attempt(self, pick: int) -> tuple[str, str, int]:
        """Return one of all attempts ever made, the old ones too."""
        return self.attempts[pick % len(self.attempts)] if self.attempts else ("-", "-", 1)

    @rule(name=NAMES, model=MODELS, slots=st.integers(1, 3), pick=PICK, can_continue=st.booleans())
    def join(self, name: str, model: str, slots: int, pick: int, can_continue: bool) -> None:
        """An instance connects, offering some old job."""
        self.made += 1
        _, job_id, attempt = self.attempt(pick)
        served = ServedModel(model, 100, 100, can_continue=can_continue)
        offers = (Offer(job_id, attempt), Offer(job_id, attempt))
        session = f"{name}{self.made}"
        self.do(events.InstanceJoined(session, name, name, (served,), slots, offers))

    @rule(pick=PICK, model=MODELS, slots=st.integers(1, 3))
    def change(self, pick: int, model: str, slots: int) -> None:
        """An instance serves something else from now on."""
        served = ServedModel(model, 100, 100, can_continue=True)
        self.do(events.InstanceChanged(self.attempt(pick)[0], (served,), slots))

    @rule(pick=PICK, slots=st.integers(1, 3))
    def pause(self, pick: int, slots: int) -> None:
        """An instance serves nothing at present."""
        self.do(events.InstanceChanged(self.attempt(pick)[0], (), slots))

    @rule(pick=PICK)
    def drain(self, pick: int) -> None:
        """An instance wants no more."""
        self.do(events.InstanceDraining(self.attempt(pick)[0]))

    @rule(
        model=st.none() | MODELS, who=st.sampled_from(ServiceClass), user=USERS, may=st.booleans()
    )
    def submit(self, model: str | None, who: ServiceClass, user: str, may: bool) -> None:
        """Somebody asks."""
        self.made += 1
        job_id = f"j{self.made}"
        self.submitted.add(job_id)
        asked = events.JobSubmitted(
            job_id, user, who, model, may, prompt_tokens=self.made % 90, conversation=user
        )
        self.do(asked)

    @rule(pick=PICK)
    def cancel(self, pick: int) -> None:
        """A reader leaves."""
        self.do(events.JobCancelled(self.attempt(pick)[1], "left"))

    @rule(pick=PICK, reason=st.sampled_from(["stop", "length", "cancelled"]))
    def done(self, pick: int, reason: str) -> None:
        """An attempt ends well, perhaps for the second time."""
        self.do(events.AttemptDone(*self.attempt(pick), reason, 10, 10, 5))

    @rule(pick=PICK, code=st.sampled_from(FailureCode))
    def failed(self, pick: int, code: FailureCode) -> None:
        """An attempt fails, perhaps for the second time."""
        self.do(events.AttemptFailed(*self.attempt(pick), code, "words"))

    @rule(pick=PICK, tokens=st.integers(0, 50))
    def progressed(self, pick: int, tokens: int) -> None:
        """Text arrives."""
        _, job_id, attempt = self.attempt(pick)
        self.do(events.JobProgressed(job_id, attempt, tokens))
        self.do(events.TokensCounted(job_id, attempt, tokens + 1))

    @rule(pick=PICK)
    def broken(self, pick: int) -> None:
        """A link breaks."""
        self.do(events.LinkBroken(self.attempt(pick)[0]))

    @rule(pick=PICK, names_all=st.booleans(), slots=st.integers(1, 3))
    def heartbeat(self, pick: int, names_all: bool, slots: int) -> None:
        """A heartbeat names all jobs or none."""
        session = self.attempt(pick)[0]
        instance = self.state.instances.get(session)
        running = tuple(instance.open_jobs) if instance and names_all else ()
        self.do(events.HeartbeatReceived(session, running, slots))

    @rule(seconds=st.sampled_from([0.1, 1.0, 2.0, 5.0, 1000.0]))
    def time(self, seconds: float) -> None:
        """Time passes."""
        self.now += seconds
        self.do(events.TimePassed())

    @invariant()
    def one_owner(self) -> None:
        """A running job is open on its own link alone, with its own attempt."""
        for job in self.state.jobs.values():
            owners = [
                i.session
                for i in self.state.instances.values()
                if i.open_jobs.get(job.job_id) == job.attempt and job.session == i.session
            ]
            assert (len(owners) == 1) == (job.state is JobState.RUNNING)
            assert (job.job_id in self.state.queue) == (job.state is JobState.QUEUED)

    @invariant()
    def one_end(self) -> None:
        """Each job lives or has ended, exactly once."""
        assert len(self.ended) == len(set(self.ended))
        assert set(self.ended) | set(self.state.jobs) == self.submitted
        assert not set(self.ended) & set(self.state.jobs)

    @invariant()
    def counts_are_what_they_count(self) -> None:
        """The queue counts each user's running jobs, and what was charged for them in advance."""
        for service_class, queue in self.state.queue.classes.items():
            own = [j for j in self.state.jobs.values() if j.service_class is service_class]
            running = Counter(j.requester for j in own if j.state is JobState.RUNNING)
            assert queue.running == running
            advances: Counter[str] = Counter()
            for job in own:
                advances[job.requester] += round(job.charged_tokens)
            assert {u: round(a) for u, a in queue.advances.items()} == +advances
            assert set(queue.turns) == set(queue.waiting)
            assert all(counter >= 0 for counter in queue.counters.values())

    def teardown(self) -> None:
        """After every link has broken and every reader has left nothing is left."""
        for session in list(self.state.instances):
            self.do(events.LinkBroken(session))
        for job_id in list(self.state.jobs):
            self.do(events.JobCancelled(job_id, "left"))
        for seconds in (1.0, SETTINGS.forget_gone_s + 1, 1.0):
            self.now += seconds
            self.do(events.TimePassed())
        state = self.state
        assert not state.jobs
        assert not state.instances
        assert not state.records
        assert not state.conversations
        assert not state.queue.entries
        assert not state.queue.interrupted
        for queue in state.queue.classes.values():
            left = (queue.waiting, queue.by_age, queue.running, queue.advances, queue.turns)
            assert not any(left)
            assert len(queue.counters) <= 3


AnyOrder.TestCase.settings = settings(max_examples=150, stateful_step_count=50, deadline=None)
TestAnyOrder = AnyOrder.TestCase
