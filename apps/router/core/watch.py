"""What time alone brings: silent links, late tokens, and the router's own pauses. Pure."""

from typing import Final

from apps.router.core import learning
from apps.router.core.effects import CloseLink, Effect
from apps.router.core.eligibility import unfit
from apps.router.core.endings import attempt_late
from apps.router.core.fleet import remove_instance
from apps.router.core.instances import Instance
from apps.router.core.state import Job, RouterState
from apps.router.core.values import AttemptOutcome, Health

_SILENT = 4000

GONE_MOST: Final = 1000
"""Records of one credential's instances that have left: they may come under ever new names."""


def time_passed(state: RouterState, now: float) -> list[Effect]:
    """Close silent links and take jobs from instances that do not get on."""
    if _was_router_away(state, now):
        return []
    effects: list[Effect] = []
    for instance in list(state.instances.values()):
        if now - instance.last_heard_at > state.settings.silence_s:
            reason = f"silent: no frame for {state.settings.silence_s:g} s"
            effects.append(CloseLink(instance.session, _SILENT, reason))
            effects += remove_instance(state, instance, AttemptOutcome.SILENT, now)
        elif instance.open_jobs:
            effects += _late_jobs(state, instance, now)
        else:
            instance.record.overdue_s = 0.0
    _forget_gone(state, now)
    _forget_conversations(state, now)
    return effects


def _was_router_away(state: RouterState, now: float) -> bool:
    """Whether the router itself stood still; then nobody is blamed, and all clocks start anew."""
    before, state.ticked_at = state.ticked_at, now
    if before is None or now - before <= state.settings.stall_s:
        return False
    for instance in state.instances.values():
        instance.last_heard_at = now
    for job in state.jobs.values():
        if job.running is not None:
            job.running.started_at += now - before
            excuse(job, now - before, now)
    return True


def excuse(job: Job, seconds: float, now: float) -> None:
    """Blame nobody for a time in which a job's progress may not have been passed on."""
    if job.running is not None:
        job.running.expected_at += seconds
        job.running.due_at += seconds
        if job.running.progressed_at is not None:
            job.running.progressed_at = now


def _late_jobs(state: RouterState, instance: Instance, now: float) -> list[Effect]:
    effects: list[Effect] = []
    instance.record.overdue_s = 0.0
    for job_id in list(instance.open_jobs):
        job = state.jobs.get(job_id)
        if job is None or job.session != instance.session:
            continue
        outcome = _lateness(state, instance, job, now)
        if outcome is not None and not _is_borne_with(state, instance, job, now):
            effects += attempt_late(state, job, instance, outcome, now)
    return effects


def _is_borne_with(state: RouterState, instance: Instance, job: Job, now: float) -> bool:
    """Whether a late attempt stays where it is: nobody else could have the job.

    The network may be away, or the engine about to be made anew: then the job waits for it.
    """
    others = (other for other in state.instances.values() if other is not instance)
    if any(unfit(state, other, job) is None for other in others):
        return False
    return _lateness(state, instance, job, now - state.settings.come_back_s) is None


def _lateness(
    state: RouterState, instance: Instance, job: Job, now: float
) -> AttemptOutcome | None:
    attempt = job.running
    if attempt is None:
        return None
    if attempt.progressed_at is None:
        record = instance.record
        record.overdue_s = max(record.overdue_s, now - attempt.expected_at)
        return AttemptOutcome.FIRST_TOKEN_LATE if now > attempt.due_at else None
    if now - instance.last_heard_at > state.settings.silent_streaming_s:
        return AttemptOutcome.SILENT
    gap_s = now - attempt.progressed_at
    if gap_s <= state.settings.gap_floor_s or gap_s <= learning.gap_within(state, instance, job):
        return None
    return AttemptOutcome.STUCK


def _forget_gone(state: RouterState, now: float) -> None:
    for record in list(state.records.values()):
        if record.health is not Health.GONE or record.gone_at is None:
            continue
        if now - record.gone_at > state.settings.forget_gone_s:
            del state.records[record.instance_id]
    if len(state.records) - len(state.instances) > GONE_MOST:
        _forget_beyond(state)


def _forget_beyond(state: RouterState) -> None:
    """Forget the oldest of a credential whose instances come under ever new names."""
    left: dict[str, list[tuple[float, str]]] = {}
    for record in state.records.values():
        if record.health is Health.GONE and record.gone_at is not None:
            credential_id, _, _ = record.instance_id.rpartition("/")
            left.setdefault(credential_id, []).append((record.gone_at, record.instance_id))
    for of_credential in left.values():
        for _, instance_id in sorted(of_credential)[:-GONE_MOST]:
            del state.records[instance_id]


def _forget_conversations(state: RouterState, now: float) -> None:
    # They stand in the order in which they were answered last.
    while state.conversations:
        key = next(iter(state.conversations))
        if now - state.conversations[key].at <= state.settings.affinity_s:
            return
        del state.conversations[key]
