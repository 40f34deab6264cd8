"""What became of each job in a stretch of events: who had it, how long that took. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from apps.router.core import events
from apps.router.core.state import RouterState
from apps.router.core.values import AttemptEnded, AttemptOutcome, Decision, FailureCode
from apps.router.records.segments import Line

Machine = tuple[str, str]
"""An instance's id and the model that it answered with: what has a speed of its own."""


@dataclass(slots=True)
class Tried:
    """One attempt. `first_s` and `lasted_s` count from its beginning; None: that never came.

    `has_begun_before`: its first token came before the record began.
    """

    machine: Machine
    session: str
    started_at: float
    first_s: float | None = None
    lasted_s: float | None = None
    outcome: AttemptOutcome | None = None
    tokens: int = 0
    cached_tokens: int = 0
    failure: FailureCode | None = None
    has_begun_before: bool = False

    @property
    def token_s(self) -> float | None:
        """The time per token of a whole answer."""
        if self.outcome is not AttemptOutcome.DONE or not self.tokens:
            return None
        if self.first_s is None or self.lasted_s is None:
            return None
        return (self.lasted_s - self.first_s) / self.tokens


@dataclass(slots=True)
class JobHistory:
    """One job. `waited_s`: until its first attempt; None where that was before."""

    submitted_at: float | None = None
    prompt_tokens: int = 0
    waited_s: float | None = None
    first_token_at: float | None = None
    attempts: dict[int, Tried] = field(default_factory=dict)

    @property
    def is_answered(self) -> bool:
        """Whether it has a whole answer."""
        return any(tried.outcome is AttemptOutcome.DONE for tried in self.attempts.values())

    @property
    def tokens(self) -> int:
        """What all its attempts wrote."""
        return sum(tried.tokens for tried in self.attempts.values())


class History:
    """Every job that was seen, and which instance each session was."""

    def __init__(self, state: RouterState) -> None:
        self.jobs: dict[str, JobHistory] = {}
        self.names: dict[str, str] = {}
        self._owners: dict[str, str] = {}
        self._before: dict[str, str] = {}
        self._sessions: dict[str, str] = {}
        for instance in state.instances.values():
            self._connected(instance.session, instance.instance_id, instance.name)
        for job in state.jobs.values():
            kept = self.jobs[job.job_id] = JobHistory(prompt_tokens=job.prompt_tokens)
            if job.running is not None and job.owner_id is not None:
                tried = Tried(
                    (job.owner_id, job.model_name or ""),
                    job.session or "",
                    job.running.started_at,
                    has_begun_before=job.running.progressed_at is not None,
                )
                kept.attempts[job.attempt] = tried

    def add(self, lines: Iterable[Line]) -> None:
        """Take in what happened next."""
        for line in lines:
            if line.decision is not None:
                self._decided(line.decision)
            elif line.ended is not None:
                self._ended(line.ended)
            elif line.at is not None:
                self._happened(line.event, line.at)

    def find(self, job_id: str, attempt: int) -> Tried | None:
        """Return one attempt."""
        job = self.jobs.get(job_id)
        return job.attempts.get(attempt) if job else None

    def forgetful_sessions(self) -> frozenset[str]:
        """Return the links whose instance had lost, with the link before, a job that it had."""
        lost = {
            tried.session
            for job in self.jobs.values()
            for tried in job.attempts.values()
            if tried.outcome is AttemptOutcome.LINK_LOST
        }
        return frozenset(session for session, before in self._before.items() if before in lost)

    def _connected(self, session: str, instance_id: str, name: str) -> None:
        self._owners[session] = instance_id
        self.names[instance_id] = name
        if instance_id in self._sessions:
            self._before[session] = self._sessions[instance_id]
        self._sessions[instance_id] = session

    def _happened(self, event: object, at: float) -> None:
        match event:
            case events.InstanceJoined():
                self._connected(event.session, event.instance_id, event.name)
            case events.JobSubmitted():
                self.jobs[event.job_id] = JobHistory(at, event.prompt_tokens)
            case events.JobProgressed():
                self._progressed(event, at)
            case events.AttemptDone():
                if tried := self.find(event.job_id, event.attempt):
                    tried.cached_tokens = event.cached_tokens
            case events.AttemptFailed():
                if tried := self.find(event.job_id, event.attempt):
                    tried.failure = event.code

    def _progressed(self, event: events.JobProgressed, at: float) -> None:
        tried = self.find(event.job_id, event.attempt)
        if tried is None or tried.outcome is not None:
            return
        if tried.first_s is None and not tried.has_begun_before:
            tried.first_s = at - tried.started_at
        job = self.jobs[event.job_id]
        if job.first_token_at is None:
            job.first_token_at = at

    def _decided(self, decision: Decision) -> None:
        job = self.jobs.setdefault(decision.job_id, JobHistory())
        owner = self._owners.get(decision.winner_session, "")
        job.attempts[decision.attempt] = Tried(
            (owner, decision.model_name), decision.winner_session, decision.at
        )
        if decision.attempt == 1:
            job.waited_s = decision.waited_s

    def _ended(self, ended: AttemptEnded) -> None:
        if tried := self.find(ended.job_id, ended.attempt):
            tried.outcome, tried.tokens = ended.outcome, ended.tokens
            tried.lasted_s = ended.at - tried.started_at
