"""What a simulation says, in figures. Pure."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from apps.router.core.values import ServiceClass
from apps.router.simulator.outcome import JobRun, Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """When an answer counts as good: soon enough, and at reading speed at least."""

    first_token_s: float = 10.0
    token_s: float = 0.25


@dataclass(frozen=True, slots=True)
class Spread:
    """Quantiles of a measure."""

    p50: float
    p95: float
    p99: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassMeasures:
    """One class's figures; times in seconds, shares from 0 to 1."""

    jobs: int
    first_token_s: Spread
    end_to_end_s: Spread
    goodput: float
    errors: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Measures:
    """All figures of one simulation.

    goodput: the share of all requests whose answer met the objective. A request without a first
    token counts with the time that it lived. jain: over the share of its tokens that each user
    got. first_token_s_sorted: for plots.
    """

    classes: dict[str, ClassMeasures]
    all: ClassMeasures
    jain: float
    attempts_per_job: float
    prefix_reuse: float
    decision_p50_us: float
    decision_p99_us: float
    eject_s: list[float]
    readmit_s: list[float]
    lasted_s: float
    first_token_s_sorted: list[float]


def measure(outcomes: Sequence[Outcome], objective: Objective) -> Measures:
    """Reduce one or several simulations to figures, over all their requests together."""
    jobs = [job for outcome in outcomes for job in outcome.jobs]
    by_class = {
        service_class.value: [j for j in jobs if j.request.service_class is service_class]
        for service_class in ServiceClass
    }
    prompts = sum(job.request.prompt_tokens for job in jobs)
    decisions = sorted(took_s for outcome in outcomes for took_s in outcome.decision_s)
    return Measures(
        classes={n: _class_measures(found, objective) for n, found in by_class.items() if found},
        all=_class_measures(jobs, objective),
        jain=jain([share for one in outcomes for share in _served_by_user(one.jobs).values()]),
        attempts_per_job=sum(job.attempts for job in jobs) / len(jobs),
        prefix_reuse=sum(job.cached_tokens for job in jobs) / prompts,
        decision_p50_us=quantile(decisions, 0.5) * 1e6,
        decision_p99_us=quantile(decisions, 0.99) * 1e6,
        eject_s=[took_s for outcome in outcomes for took_s in outcome.eject_s],
        readmit_s=[took_s for outcome in outcomes for took_s in outcome.readmit_s],
        lasted_s=sum(outcome.lasted_s for outcome in outcomes),
        first_token_s_sorted=sorted(first_token_s(job) for job in jobs),
    )


def quantile(ascending: Sequence[float], share: float) -> float:
    """Return the value below which a share of the sorted values lies; 0 for none."""
    if not ascending:
        return 0.0
    return ascending[min(len(ascending) - 1, int(share * len(ascending)))]


def jain(values: Sequence[float]) -> float:
    """Return Jain's fairness index: 1 when all are equal, 1 / n when one has everything."""
    squares = sum(value * value for value in values)
    return sum(values) ** 2 / (len(values) * squares) if squares else 1.0


def first_token_s(job: JobRun) -> float:
    """Return the time to the first token; of a job that never had one, how long it lived."""
    ended = job.ended_at if job.ended_at is not None else job.submitted_at
    return (job.first_at if job.first_at is not None else ended) - job.submitted_at


def is_good(job: JobRun, objective: Objective) -> bool:
    """Whether an answer met the objective."""
    if not job.has_answer or job.first_at is None or job.ended_at is None:
        return False
    token_s = (job.ended_at - job.first_at) / job.request.answer_tokens
    return first_token_s(job) <= objective.first_token_s and token_s <= objective.token_s


def _class_measures(jobs: Sequence[JobRun], objective: Objective) -> ClassMeasures:
    firsts = sorted(first_token_s(job) for job in jobs)
    wholes = sorted((job.ended_at or job.submitted_at) - job.submitted_at for job in jobs)
    return ClassMeasures(
        jobs=len(jobs),
        first_token_s=_spread(firsts),
        end_to_end_s=_spread(wholes),
        goodput=sum(is_good(job, objective) for job in jobs) / len(jobs),
        errors=sum(not job.has_answer for job in jobs) / len(jobs),
    )


def _spread(ascending: Sequence[float]) -> Spread:
    return Spread(*(quantile(ascending, share) for share in (0.5, 0.95, 0.99)))


def _served_by_user(jobs: Sequence[JobRun]) -> dict[str, float]:
    """Return the share of what each registered user asked for that was served."""
    asked: dict[str, int] = defaultdict(int)
    served: dict[str, int] = defaultdict(int)
    for job in jobs:
        if job.request.service_class is ServiceClass.REGISTERED:
            asked[job.request.user] += job.request.answer_tokens
            served[job.request.user] += job.given_tokens
    return {user: served[user] / asked[user] for user in asked}
