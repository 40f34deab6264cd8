"""Gives waiting jobs to instances with a free slot, and says why. Pure."""

from functools import cached_property
from typing import Final

from apps.router.core import figures, learning
from apps.router.core.effects import AssignJob, Effect, RecordDecision
from apps.router.core.eligibility import eligible_of, model_for, ruled_out
from apps.router.core.instances import Instance
from apps.router.core.queue import Waiting
from apps.router.core.selection.port import Rule
from apps.router.core.selection.rules import rule_named
from apps.router.core.speed import crowd, first_token_s
from apps.router.core.state import Job, JobState, RouterState
from apps.router.core.values import Candidate, Decision, Health

_HELD_AT_ONCE: Final = 32
"""So many jobs may be held back for a faster instance; those behind them are not looked at."""

_WEIGHED_EVERY_S: Final = 50e-6
"""A held job is weighed again after this time by the number of instances."""

_LARGE_FLEET: Final = 400
"""Beyond so many instances by its square: half a second at 2,000."""


def dispatch_waiting(state: RouterState, now: float) -> list[Effect]:
    """Assign every waiting job that some instance can take, in the order of the queue."""
    if not state.has_news:
        return []
    state.has_news = False
    effects: list[Effect] = []
    search = _Search(state, now)
    while state.queue and (assigned := search.assign_next()):
        effects += assigned
    return effects


class _Search:
    """The search for jobs that can be assigned at one moment."""

    def __init__(self, state: RouterState, now: float) -> None:
        self.state, self.now = state, now
        self.rule = rule_named(state.settings.rule)
        self.held_count = 0
        self.skipped: set[str] = set()
        self.hopeless: set[tuple[str | None, str | None]] = set()
        # Weighing the same held job again at every event would cost more than it gains.
        count = len(state.instances)
        self.weighed_every_s = count * _WEIGHED_EVERY_S * max(1.0, count / _LARGE_FLEET)

    @cached_property
    def free(self) -> list[Instance]:
        """The instances with a free slot; most searches in a busy fleet end before they ask."""
        return [i for i in self.state.instances.values() if len(i.open_jobs) < i.slots]

    def assign_next(self) -> list[Effect]:
        """Assign the first job in the queue that can be; return nothing when none can."""
        self.held_count = 0
        for entry in self.state.queue.in_order(self.now, self.state.settings):
            job = self.state.jobs[entry.job_id]
            if self.held_count == _HELD_AT_ONCE:
                break
            if self._was_just_weighed(job):
                self.held_count += 1
            elif entry.job_id not in self.skipped and self._may_be_served(job):
                if not self.free:
                    break
                choice = _choose(self.state, self.rule, self.free, job, self.now)
                if choice is not None and not self._is_held(choice, job):
                    return self._assign(entry, choice)
                self.skipped.add(job.job_id)
                self._note_hopeless(job, choice)
        return []

    def _assign(self, entry: Waiting, choice: "_Choice") -> list[Effect]:
        effects = _assign(self.state, entry, choice, self.rule.name, self.now)
        if not choice.winner.has_free_slot:
            self.free.remove(choice.winner)
        return effects

    def _was_just_weighed(self, job: Job) -> bool:
        return job.held_at is not None and self.now - job.held_at < self.weighed_every_s

    def _may_be_served(self, job: Job) -> bool:
        return (job.model_name, job.revision) not in self.hopeless

    def _note_hopeless(self, job: Job, choice: "_Choice | None") -> None:
        if choice is None and not any(model_for(self.state, i, job) for i in self.free):
            self.hopeless.add((job.model_name, job.revision))

    def _is_held(self, choice: "_Choice", job: Job) -> bool:
        """Whether the job waits for a busy instance. An interrupted answer never does."""
        if choice.is_fail_open or job.attempt:
            return False
        is_held = self.rule.holds(
            choice.winner, choice.score, job, self.state, ahead=self.held_count, now=self.now
        )
        if is_held:
            job.held_at = self.now
            self.held_count += 1
        return is_held


Scored = tuple[float, int, Instance]


class _Choice:
    """The instances that could have a job, their scores, and the best of them."""

    def __init__(
        self, eligible: list[Instance], scores: list[float | None], *, is_fail_open: bool
    ) -> None:
        self.scored: list[Scored] = [
            (score, instance.last_assigned, instance)
            for score, instance in zip(scores, eligible, strict=True)
            if score is not None
        ]
        self.score, _, self.winner = min(self.scored, key=self.order)
        self.eligible = eligible
        self.is_fail_open = is_fail_open

    @staticmethod
    def order(row: Scored) -> tuple[float, int]:
        """The lowest score first, among equals the one whose last job is longest ago."""
        return row[:2]


def _choose(
    state: RouterState, rule: Rule, free: list[Instance], job: Job, now: float
) -> _Choice | None:
    drawn = _drawn(state, free, job)
    eligible = eligible_of(state, drawn, job, now)
    if not eligible and len(drawn) < len(free):
        eligible = eligible_of(state, free, job, now)[: state.settings.considered_count]
    is_fail_open = not eligible and _is_everyone_ejected(state, job)
    if is_fail_open:
        eligible = [i for i in free if ruled_out(state, i, job, now, is_fail_open=True) is None]
    if not eligible:
        return None
    scores = rule.scores(eligible, job, state, now)
    return _Choice(eligible, scores, is_fail_open=is_fail_open)


def _drawn(state: RouterState, free: list[Instance], job: Job) -> list[Instance]:
    """Draw the free instances to look at, and whoever holds the conversation: all of a few."""
    count = state.settings.considered_count
    if len(free) <= count:
        return free
    every = -(-len(free) // count)
    offset = int(state.next_draw() * every)
    drawn = free[offset::every]
    holder_id, _ = figures.holder_of(state, job)
    if holder_id is not None:
        drawn += [i for i in free if i.record.instance_id == holder_id and i not in drawn]
    return drawn


def _is_everyone_ejected(state: RouterState, job: Job) -> bool:
    """Whether all that serve the job's model are ejected: then ejection says nothing."""
    serving = state.each_serving(job.model_name, job.revision)
    return all(instance.record.health is Health.EJECTED for instance in serving)


def _assign(
    state: RouterState, entry: Waiting, choice: _Choice, rule_name: str, now: float
) -> list[Effect]:
    job, instance = state.jobs[entry.job_id], choice.winner
    model_name = model_for(state, instance, job) or ""
    decision = _explain(state, job, choice, rule_name, model_name, now)
    was_interrupted = job.job_id in state.queue.interrupted
    state.queue.remove(job.job_id)
    state.queue.started(entry, was_interrupted=was_interrupted, now=now)
    if not was_interrupted:
        job.charged_tokens = entry.cost
    state.assignments_count += 1
    job.move(JobState.RUNNING)
    job.running = learning.begin(state, instance, job, model_name, now)
    job.attempt += 1
    job.session = instance.session
    job.owner_id = instance.instance_id
    job.model_name = model_name
    job.shown_place = None
    instance.open_jobs[job.job_id] = job.attempt
    instance.last_assigned = state.assignments_count
    model = instance.models[model_name]
    return [
        RecordDecision(decision),
        AssignJob(
            job.job_id,
            job.attempt,
            instance.session,
            model_name,
            model.revision,
            instance.name,
            model.fingerprint,
        ),
    ]


def _explain(
    state: RouterState, job: Job, choice: _Choice, rule_name: str, model_name: str, now: float
) -> Decision:
    """Write down the table: all of a small fleet, the best of a large one."""
    winner = choice.winner
    scores = {instance.session: score for score, _, instance in choice.scored}
    listed = list(state.instances.values())
    limit = state.settings.explained_count
    if len(listed) > limit:
        best = sorted(choice.scored, key=_Choice.order)[:limit]
        listed = [instance for _, _, instance in best]
    explain = _Explanation(state, job, choice, now)
    return Decision(
        job_id=job.job_id,
        attempt=job.attempt + 1,
        at=now,
        waited_s=now - job.queued_at,
        rule=rule_name,
        asked_model=job.asked_model,
        model_name=model_name,
        revision=winner.models[model_name].revision,
        service_class=job.service_class,
        prompt_tokens=job.prompt_tokens,
        candidates=tuple([explain.candidate(i, scores.get(i.session)) for i in listed]),
        unlisted=len(state.instances) - len(listed),
        winner=winner.name,
        winner_session=winner.session,
        is_fail_open=choice.is_fail_open,
    )


class _Explanation:
    """Rows of one decision's table."""

    def __init__(self, state: RouterState, job: Job, choice: _Choice, now: float) -> None:
        self.state, self.job, self.now = state, job, now
        self.is_fail_open = choice.is_fail_open
        self.eligible = {instance.session for instance in choice.eligible}
        self.holder_id, self.held = figures.holder_of(state, job)
        self.tokens = job.prompt_tokens + job.given_tokens
        self.costs = self._costs(job.model_name)

    def candidate(self, instance: Instance, score: float | None) -> Candidate:
        """Return the row of one instance."""
        state, job, record = self.state, self.job, instance.record
        others = len(instance.open_jobs)
        reason = None
        if instance.session not in self.eligible:
            reason = ruled_out(state, instance, job, self.now, is_fail_open=self.is_fail_open)
        held, tokens = 0, float(self.tokens)
        if record.instance_id == self.holder_id:
            held = self.held
            tokens -= held * figures.reused_share(record)
        prefill = decode = None
        costs = self.costs or self._costs(model_for(state, instance, job))
        if costs is not None and costs.model_name in instance.models:
            prefill, decode = costs.of(instance)
        failures = 0.0
        if record.failures:
            failures = record.recent_failures(self.now, state.settings.failure_half_life_s)
        return Candidate(
            instance.session,
            record.name,
            record.health,
            others,
            instance.slots,
            instance.last_assigned,
            failures,
            None if prefill is None else first_token_s(prefill, tokens, others),
            None if decode is None else decode * crowd(others),
            held,
            score,
            reason,
        )

    def _costs(self, model_name: str | None) -> figures.Costs | None:
        return figures.Costs(self.state, model_name, self.now) if model_name else None
