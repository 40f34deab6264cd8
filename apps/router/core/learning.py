"""What attempts teach about their instances, and what that says about the next ones. Pure."""

from apps.router.core.figures import held_tokens, new_tokens
from apps.router.core.instances import Instance
from apps.router.core.selection.port import Observation
from apps.router.core.selection.rules import rule_named
from apps.router.core.speed import crowd, first_token_s
from apps.router.core.state import Holding, Job, RouterState, Try


def begin(state: RouterState, instance: Instance, job: Job, model_name: str, now: float) -> Try:
    """Note what a new attempt starts with, and when its first token is due."""
    others = len(instance.open_jobs)
    tokens = new_tokens(state, instance, job)
    within_s = _first_token_within(state, instance, job, model_name)
    known = instance.speed(model_name).prefill
    expected_s = first_token_s(known.mean, tokens, others) if known.count else within_s
    return Try(now, others, tokens, now + expected_s, now + within_s)


def _first_token_within(state: RouterState, instance: Instance, job: Job, model_name: str) -> float:
    """Return the deadline for the first token, in seconds from its beginning.

    Expected time plus `deviations` standard deviations, within floor and cap; the cap gives way
    to twice the expected time of an instance that is known to be that slow.
    """
    settings = state.settings
    known = instance.speed(model_name).prefill
    if known.count < settings.learned_samples:
        return settings.first_token_cap_s
    # The whole prompt: what the instance holds of it may be gone.
    tokens = job.prompt_tokens + job.given_tokens
    expected_s = first_token_s(known.mean, tokens, len(instance.open_jobs))
    late_s = expected_s * (1 + settings.deviations * known.deviation)
    bounded_s = min(max(late_s, settings.first_token_floor_s), settings.first_token_cap_s)
    return max(bounded_s, 2 * expected_s)


def gap_within(state: RouterState, instance: Instance, job: Job) -> float:
    """Return the deadline between two reports of a job's progress, in seconds.

    The cap gives way to the prompt that the instance is reading for another job meanwhile.
    """
    settings = state.settings
    known = instance.speed(job.model_name or "").decode
    gap_s = settings.gap_cap_s
    if known.count >= settings.learned_samples:
        expected_s = known.mean * crowd(len(instance.open_jobs) - 1)
        late_s = expected_s * (1 + settings.deviations * known.deviation)
        gap_s = min(max(settings.progress_s + late_s, settings.gap_floor_s), settings.gap_cap_s)
    return gap_s + _reading_s(state, instance, job)


def _reading_s(state: RouterState, instance: Instance, job: Job) -> float:
    model_name = job.model_name or ""
    known = instance.speed(model_name).prefill
    if known.count < state.settings.learned_samples or len(instance.open_jobs) == 1:
        return 0.0
    reading_s = 0.0
    for other_id in instance.open_jobs:
        other = state.jobs.get(other_id)
        attempt = other.running if other else None
        if attempt is not None and attempt.progressed_at is None:
            reading_s += first_token_s(known.mean, attempt.new_tokens, attempt.others)
    return reading_s


def progressed(
    state: RouterState, instance: Instance, job: Job, attempt: Try, tokens: int, now: float
) -> None:
    """Learn from a report of progress; `tokens` counts from the attempt's beginning."""
    model_name = job.model_name or ""
    speed, usual = instance.speed(model_name), state.usual(model_name).speed
    speed.used_at = now
    others = len(instance.open_jobs) - 1
    if attempt.progressed_at is None and not attempt.is_resumed:
        took_s = now - attempt.started_at
        for known in (speed, usual):
            known.saw_first_token(
                took_s=took_s, new_tokens=attempt.new_tokens, others=attempt.others
            )
        seen = Observation(
            first_token_s=took_s, new_tokens=attempt.new_tokens, others=attempt.others
        )
        rule_named(state.settings.rule).learn(instance.record, seen, now)
    elif attempt.progressed_at is not None and tokens > attempt.tokens:
        took_s = now - attempt.progressed_at
        for known in (speed, usual):
            known.saw_tokens(took_s=took_s, tokens=tokens - attempt.tokens, others=others)
    attempt.progressed_at = now
    attempt.tokens = max(tokens, attempt.tokens)


def answered(
    state: RouterState,
    instance: Instance,
    job: Job,
    attempt: Try,
    *,
    tokens: int,
    prompt_tokens: int,
    cached_tokens: int,
    now: float,
) -> None:
    """Learn from a whole answer, and note that the instance now holds the conversation."""
    duration_s = now - attempt.started_at
    instance.record.job_s.add(duration_s)
    state.usual(job.model_name or "").job_s.add(duration_s)
    seen = Observation(duration_s=duration_s, tokens=tokens, others=attempt.others)
    rule_named(state.settings.rule).learn(instance.record, seen, now)
    held = held_tokens(state, instance, job)
    if held:
        instance.record.reuse.add(min(1.0, cached_tokens / held))
    if job.conversation:
        total = (prompt_tokens or job.prompt_tokens) + tokens
        state.conversations.pop(job.conversation, None)
        state.conversations[job.conversation] = Holding(instance.instance_id, total, now)
        while len(state.conversations) > state.settings.conversations_count:
            del state.conversations[next(iter(state.conversations))]


def came_late(instance: Instance, job: Job, attempt: Try, now: float) -> None:
    """Learn that a first token took at least so long."""
    speed = instance.speed(job.model_name or "")
    speed.used_at = now
    speed.saw_first_token(
        took_s=now - attempt.started_at, new_tokens=attempt.new_tokens, others=attempt.others
    )


def failed(state: RouterState, instance: Instance, attempt: Try, now: float) -> None:
    """Tell the rule that an attempt failed."""
    seen = Observation(duration_s=now - attempt.started_at, others=attempt.others, has_failed=True)
    rule_named(state.settings.rule).learn(instance.record, seen, now)
