"""Whatever happens in whatever order: one owner, no leaked slot, one end for each job."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from apps.router.core import effects, events
from apps.router.core.state import JobState, RouterState
from apps.router.core.step import step
from apps.router.core.values import FailureCode, Offer, ServedModel, ServiceClass

NAMES = st.sampled_from(["a", "b", "c"])
MODELS = st.sampled_from(["m1", "m2"])
PICK = st.integers(min_value=0, max_value=10**6)


class AnyOrder(RuleBasedStateMachine):
    """Drives the core with events that may be stale, doubled or wrong."""

    def __init__(self) -> None:
        super().__init__()
        self.state = RouterState()
        self.now = 0.0
        self.made = 0
        self.submitted: set[str] = set()
        self.ended: list[str] = []
        self.attempts: list[tuple[str, str, int]] = []

    def do(self, event: events.Event) -> None:
        """Apply an event and note what it did."""
        for effect in step(self.state, event, self.now):
            if isinstance(effect, effects.FinishJob | effects.RefuseJob):
                self.ended.append(effect.job_id)
            elif isinstance(effect, effects.AssignJob):
                self.attempts.append((effect.session, effect.job_id, effect.attempt))

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

    @rule(model=st.none() | MODELS, who=st.sampled_from(ServiceClass), may_wait=st.booleans())
    def submit(self, model: str | None, who: ServiceClass, may_wait: bool) -> None:
        """Somebody asks."""
        self.made += 1
        job_id = f"j{self.made}"
        self.submitted.add(job_id)
        self.do(events.JobSubmitted(job_id, "user:1", who, model, may_wait))

    @rule(pick=PICK)
    def cancel(self, pick: int) -> None:
        """A reader leaves."""
        self.do(events.JobCancelled(self.attempt(pick)[1], "left"))

    @rule(pick=PICK, reason=st.sampled_from(["stop", "length", "cancelled"]))
    def done(self, pick: int, reason: str) -> None:
        """An attempt ends well, perhaps for the second time."""
        self.do(events.AttemptDone(*self.attempt(pick), reason))

    @rule(pick=PICK, code=st.sampled_from(FailureCode))
    def failed(self, pick: int, code: FailureCode) -> None:
        """An attempt fails, perhaps for the second time."""
        self.do(events.AttemptFailed(*self.attempt(pick), code, "words"))

    @rule(pick=PICK)
    def progressed(self, pick: int) -> None:
        """Text arrives."""
        _, job_id, attempt = self.attempt(pick)
        self.do(events.JobProgressed(job_id, attempt))

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

    @rule(seconds=st.sampled_from([0.1, 2.0, 5.0, 1000.0]))
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

    def teardown(self) -> None:
        """After every link has broken and every reader has left nothing is left."""
        for session in list(self.state.instances):
            self.do(events.LinkBroken(session))
        for job_id in list(self.state.jobs):
            self.do(events.JobCancelled(job_id, "left"))
        assert not self.state.jobs
        assert not self.state.instances
        assert not len(self.state.queue)


AnyOrder.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestAnyOrder = AnyOrder.TestCase
