"""A router's state with short words for what happens to it."""

from collections.abc import Sequence

from apps.router.core import effects, events
from apps.router.core.effects import Effect
from apps.router.core.instances import InstanceRecord
from apps.router.core.settings import CoreSettings
from apps.router.core.state import RouterState
from apps.router.core.step import step
from apps.router.core.values import (
    AttemptOutcome,
    Candidate,
    Decision,
    FailureCode,
    Health,
    Offer,
    ServedModel,
    ServiceClass,
)

TINY = ServedModel(name="tiny", context_tokens=8192, max_output_tokens=4096, can_continue=True)
MUTE = ServedModel(name="tiny", context_tokens=8192, max_output_tokens=4096)
TICK_S = 0.25


class Board:
    """Tells the real core what happens, and keeps all that it answered."""

    def __init__(self, **settings: object) -> None:
        self.state = RouterState(settings=CoreSettings(**settings))  # type: ignore[arg-type]
        self.now = 0.0
        self.told: list[Effect] = []

    def do(self, event: events.Event) -> list[Effect]:
        """Apply an event."""
        found = step(self.state, event, self.now)
        self.told += found
        return found

    def join(
        self,
        session: str,
        *,
        instance: str = "",
        slots: int = 1,
        models: Sequence[ServedModel] = (TINY,),
        offers: tuple[Offer, ...] = (),
        region: str | None = None,
    ) -> list[Effect]:
        """Connect an instance; its session is also its name where no other is given."""
        name = instance or session
        return self.do(
            events.InstanceJoined(session, name, name, tuple(models), slots, offers, region)
        )

    def leave(self, session: str) -> list[Effect]:
        """Break a link."""
        return self.do(events.LinkBroken(session))

    def beat(self, *sessions: str) -> None:
        """Let some instances, or all, send a heartbeat with what they really hold."""
        for session in sessions or tuple(self.state.instances):
            instance = self.state.instances[session]
            self.do(events.HeartbeatReceived(session, tuple(instance.open_jobs), instance.slots))

    def submit(
        self,
        job_id: str,
        *,
        user: str = "user:1",
        who: ServiceClass = ServiceClass.REGISTERED,
        **options: object,
    ) -> str:
        """Hand in a job; return the link that got it at once, or nothing."""
        self.do(events.JobSubmitted(job_id, user, who, **options))  # type: ignore[arg-type]
        return self.owner(job_id)

    def owner(self, job_id: str) -> str:
        """Return the link that has a job."""
        job = self.state.jobs.get(job_id)
        return (job.session or "") if job else ""

    def progress(self, job_id: str, tokens: int = 1) -> list[Effect]:
        """Let a job's instance report how far it is."""
        return self.do(events.JobProgressed(job_id, self.state.jobs[job_id].attempt, tokens))

    def count(self, job_id: str, tokens: int) -> None:
        """Let the gateway tell what a job's attempt has given, before it ends."""
        self.do(events.TokensCounted(job_id, self.state.jobs[job_id].attempt, tokens))

    def done(self, job_id: str, tokens: int = 0, *, prompt: int = 0, cached: int = 0) -> None:
        """Let a job's instance end it."""
        job = self.state.jobs[job_id]
        counts = (prompt, tokens, cached)
        self.do(events.AttemptDone(self.owner(job_id), job_id, job.attempt, "stop", *counts))

    def fail(self, job_id: str, code: FailureCode = FailureCode.ENGINE_ERROR) -> list[Effect]:
        """Let a job's instance fail it."""
        job = self.state.jobs[job_id]
        return self.do(events.AttemptFailed(self.owner(job_id), job_id, job.attempt, code, "boom"))

    def cancel(self, job_id: str) -> list[Effect]:
        """Let a job's reader leave."""
        return self.do(events.JobCancelled(job_id, "the reader left"))

    def tick(self, seconds: float = 0.0) -> list[Effect]:
        """Let time pass at one stroke."""
        self.now += seconds
        return self.do(events.TimePassed())

    def wait(self, seconds: float, *, silent: Sequence[str] = (), tick_s: float = TICK_S) -> None:
        """Let time pass as it does: in small ticks, with heartbeats of all who are not silent."""
        ends = self.now + seconds
        while self.now < ends - 1e-9:
            self.now = min(ends, self.now + tick_s)
            for session in [s for s in self.state.instances if s not in silent]:
                self.beat(session)
            self.do(events.TimePassed())

    def answer(
        self, job_id: str, *, first_s: float, token_s: float = 0.0, tokens: int = 101
    ) -> None:
        """Let a running job's instance write a whole answer."""
        self.now += first_s
        self.progress(job_id)
        self.now += token_s * (tokens - 1)
        self.progress(job_id, tokens)
        self.done(job_id, tokens)

    def school(
        self, instance: str, *, first_s: float, token_s: float, answers: int = 1, prompt: int = 950
    ) -> None:
        """Let an instance alone with the router answer, so that its speed is known; it leaves.

        A prompt of 950 tokens counts 1,000, so first_s is in milliseconds by token.
        """
        assert not self.state.instances
        self.join(f"{instance}-at-school", instance=instance)
        for n in range(answers):
            job_id = f"{instance}-lesson-{n}-{self.now}"
            self.submit(job_id, prompt_tokens=prompt, user="teacher")
            self.answer(job_id, first_s=first_s, token_s=token_s)
        self.leave(f"{instance}-at-school")

    def record(self, instance: str) -> InstanceRecord:
        """Return what is known of an instance."""
        return self.state.records[instance]

    def health(self, instance: str) -> Health:
        """Return how an instance stands."""
        return self.record(instance).health

    def decisions(self) -> list[Decision]:
        """Return all decisions so far."""
        return [e.decision for e in self.told if isinstance(e, effects.RecordDecision)]

    def table(self) -> dict[str, Candidate]:
        """Return what the latest decision saw, by instance."""
        return {candidate.name: candidate for candidate in self.decisions()[-1].candidates}

    def scores(self) -> dict[str, float | None]:
        """Return the latest decision's scores."""
        return {name: candidate.score for name, candidate in self.table().items()}

    def outcomes(self, job_id: str) -> list[AttemptOutcome]:
        """Return how a job's attempts ended."""
        ends = [e.ended for e in self.told if isinstance(e, effects.RecordAttemptEnd)]
        return [ended.outcome for ended in ends if ended.job_id == job_id]

    def order(self) -> list[str]:
        """Return the jobs in the order in which they were assigned."""
        return [e.job_id for e in self.told if isinstance(e, effects.AssignJob)]

    def refusal(self, job_id: str) -> effects.RefuseJob | None:
        """Return why a job was refused."""
        found = (e for e in self.told if isinstance(e, effects.RefuseJob) and e.job_id == job_id)
        return next(found, None)


def board_with(*names: str, slots: int = 4, **settings: object) -> Board:
    """Return healthy instances, each with a model of its own beside the common one."""
    board = Board(**{"ejection_jitter": 0.0, "ejected_share": 1.0, **settings})
    for name in names:
        board.join(name, slots=slots, models=(TINY, ServedModel(f"of-{name}", 8192, 4096)))
        board.beat(name)
        for n in range(board.state.settings.probation_answers):
            board.submit(f"{name}-first-{n}", model_name=f"of-{name}")
            board.answer(f"{name}-first-{n}", first_s=0.1, token_s=0.01, tokens=11)
        assert board.health(name) is Health.HEALTHY
    return board


def fail_on(board: Board, name: str, times: int = 3) -> None:
    """Give an instance jobs that only it can have, and let it fail them."""
    for _ in range(times):
        job_id = f"bad-{len(board.told)}"
        assert board.submit(job_id, model_name=f"of-{name}") == name
        board.fail(job_id)
