"""How an attempt would go that was never made, worked out from those that were. Pure."""

from dataclasses import dataclass
from hashlib import blake2b
from statistics import median
from typing import Final

from apps.router.core import events
from apps.router.core.figures import held_tokens
from apps.router.core.instances import Instance
from apps.router.core.speed import OVERHEAD_TOKENS
from apps.router.core.state import Job, RouterState
from apps.router.core.values import AttemptOutcome, FailureCode
from apps.router.records.history import History, JobHistory, Machine, Tried

USUAL_FIRST_S: Final = 1.0
"""To the first token of a short prompt, where the record has no whole answer at all."""

USUAL_TOKEN_S: Final = 0.05
"""Per token, where the record has no whole answer at all."""

# What an instance does with a share of the jobs that it gets. A broken link is none of these:
# it breaks at its own time, with whatever the instance then has.
_ITS_FAULTS: Final = {
    AttemptOutcome.FAILED,
    AttemptOutcome.OVERLOADED,
    AttemptOutcome.GAVE_UP,
    AttemptOutcome.FIRST_TOKEN_LATE,
    AttemptOutcome.STUCK,
}
_SAYS_NOTHING: Final = {AttemptOutcome.FIRST_TOKEN_LATE, AttemptOutcome.STUCK}


@dataclass(slots=True)
class Course:
    """How an attempt goes: its first token, the others, and its end.

    `first_at` None: no token ever comes. `ends_at` None: nothing comes after the tokens.
    """

    job_id: str
    attempt: int
    first_at: float | None = None
    token_s: float = 0.0
    tokens: int = 0
    ends_at: float | None = None
    cached_tokens: int = 0
    failure: FailureCode | None = None
    gives_up: bool = False

    def event_at(
        self, at: float, session: str
    ) -> events.JobProgressed | events.AttemptDone | events.AttemptFailed:
        """Return what is heard of it at a time when something is."""
        if self.ends_at is None or at < self.ends_at:
            return events.JobProgressed(self.job_id, self.attempt, self._tokens_at(at))
        ids = (session, self.job_id, self.attempt)
        if self.failure is not None:
            return events.AttemptFailed(*ids, self.failure, "")
        if self.gives_up:
            return events.AttemptDone(*ids, "cancelled")
        return events.AttemptDone(*ids, "stop", 0, self.tokens, self.cached_tokens)

    def following(self, at: float, progress_s: float) -> float | None:
        """Return when something is heard of it next; None: no more."""
        if self.ends_at is not None and at >= self.ends_at:
            return None
        if self.ends_at is not None:
            return min(at + progress_s, self.ends_at)
        return at + progress_s if self._tokens_at(at) < self.tokens else None

    def _tokens_at(self, at: float) -> int:
        if self.first_at is None or not self.token_s:
            return self.tokens
        return min(self.tokens, 1 + int((at - self.first_at) / self.token_s))


class Courses:
    """What the record says of each machine's speed and of each instance's faults."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._made: dict[str, int] = {}
        self._faults: dict[str, list[Tried]] = {}
        first: dict[Machine, list[float]] = {}
        token: dict[Machine, list[float]] = {}
        tokens: list[int] = []
        for job in history.jobs.values():
            for tried in job.attempts.values():
                self._count(tried)
                if tried.token_s is None or not tried.first_s:
                    continue
                per_token = tried.first_s / (job.prompt_tokens + OVERHEAD_TOKENS)
                first.setdefault(tried.machine, []).append(per_token)
                token.setdefault(tried.machine, []).append(tried.token_s)
                tokens.append(tried.tokens)
        self._first, self._token = _medians(first), _medians(token)
        self._usual_first = _median_of(self._first, USUAL_FIRST_S / OVERHEAD_TOKENS)
        self._usual_token = _median_of(self._token, USUAL_TOKEN_S)
        self._usual_tokens = round(median(tokens)) if tokens else 1

    def course_of(self, state: RouterState, job: Job, instance: Instance, at: float) -> Course:
        """Return how an attempt goes that begins now."""
        known = self._history.jobs.get(job.job_id) or JobHistory(prompt_tokens=job.prompt_tokens)
        course = Course(job.job_id, job.attempt)
        fault = self._fault_of(known, job, instance.instance_id)
        if fault is not None:
            return _failing(course, fault, at)
        base = next((t for t in known.attempts.values() if t.outcome is AttemptOutcome.DONE), None)
        machine = (instance.instance_id, job.model_name or "")
        first_s, course.token_s = self._times(known, base, machine)
        whole = known.tokens if base else max(known.tokens, self._usual_tokens)
        course.tokens = max(1, whole - job.given_tokens)
        course.first_at = at + first_s
        course.ends_at = course.first_at + course.tokens * course.token_s
        if base and (base.machine == machine or held_tokens(state, instance, job)):
            course.cached_tokens = base.cached_tokens
        return course

    def _count(self, tried: Tried) -> None:
        instance_id = tried.machine[0]
        self._made[instance_id] = self._made.get(instance_id, 0) + 1
        if tried.outcome in _ITS_FAULTS:
            self._faults.setdefault(instance_id, []).append(tried)

    def _fault_of(self, known: JobHistory, job: Job, instance_id: str) -> Tried | None:
        """Return the recorded attempt after which this one fails; None when it goes well."""
        for tried in known.attempts.values():
            if tried.outcome is AttemptOutcome.REFUSED:
                return tried  # the job's own fault: so would every other
            if tried.machine[0] == instance_id and tried.outcome is not None:
                return tried if tried.outcome in _ITS_FAULTS else None
        faults, made = self._faults.get(instance_id, []), self._made.get(instance_id, 1)
        drawn = int(_draw(f"{job.job_id} {job.attempt} {instance_id}") * made)
        return faults[drawn] if drawn < len(faults) else None

    def _times(self, job: JobHistory, base: Tried | None, machine: Machine) -> tuple[float, float]:
        """Return the time to the first token and that per token, as recorded where possible."""
        tokens = job.prompt_tokens + OVERHEAD_TOKENS
        first = self._first.get(machine, self._usual_first)
        token = self._token.get(machine, self._usual_token)
        if base is None or not base.first_s or not base.token_s:
            return first * tokens, token
        if base.machine == machine:
            return base.first_s, base.token_s
        slower = first / self._first.get(base.machine, self._usual_first)
        return base.first_s * slower, base.token_s * token / self._token[base.machine]


def _failing(course: Course, fault: Tried, at: float) -> Course:
    """Let an attempt fail as the other did; one that was late or stuck says nothing more."""
    if fault.first_s is not None and fault.lasted_s is not None:
        course.first_at, course.tokens = at + fault.first_s, max(1, fault.tokens)
        course.token_s = (fault.lasted_s - fault.first_s) / course.tokens
    if fault.outcome not in _SAYS_NOTHING:
        course.ends_at = at + (fault.lasted_s or 0.0)
        course.failure = fault.failure
        course.gives_up = fault.failure is None
    return course


def _medians(samples: dict[Machine, list[float]]) -> dict[Machine, float]:
    return {machine: median(found) for machine, found in samples.items()}


def _median_of(medians: dict[Machine, float], otherwise: float) -> float:
    return median(medians.values()) if medians else otherwise


def _draw(words: str) -> float:
    """Return a number from [0, 1) that is the same for the same words."""
    return int.from_bytes(blake2b(words.encode(), digest_size=6).digest()) / 2**48
