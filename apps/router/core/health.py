"""How an instance's health changes. Pure.

Three consecutive failures eject it, for a time that doubles; afterwards it gets one job at a
time until one is answered (half-open). At most a share of a model's instances is ejected at once.
"""

from itertools import islice
from statistics import median_low
from typing import Final

from apps.router.core.instances import Instance, InstanceRecord
from apps.router.core.state import Job, RouterState
from apps.router.core.values import AttemptOutcome, Health

_COMPARED: Final = 64
"""An instance's speed is compared with that of so many, evenly drawn from all."""


def spoke(state: RouterState, instance: Instance) -> None:
    """A joining instance has kept its first word: it is known from before, or on probation."""
    record = instance.record
    if record.health is Health.JOINING:
        is_known = record.answers_count >= state.settings.probation_answers
        record.move(Health.HEALTHY if is_known else Health.PROBATION)


def succeeded(state: RouterState, instance: Instance, model_name: str) -> None:
    """Note an answer."""
    record = instance.record
    record.consecutive_failures = 0
    record.answers_count += 1
    if record.health is Health.EJECTED:
        record.move(Health.PROBATION)
        record.answers_count = 1
        record.ejected_by = None
        state.has_news = True
    elif record.health in (Health.JOINING, Health.PROBATION):
        if record.answers_count >= state.settings.probation_answers:
            record.move(Health.HEALTHY)
            record.ejections_count = 0
    elif record.health in (Health.HEALTHY, Health.SLOW):
        _judge_speed(state, instance, model_name)


def failed(state: RouterState, record: InstanceRecord, job: Job, now: float) -> None:
    """Note a failure that may be the instance's fault; eject it when there were too many."""
    settings = state.settings
    record.failures = record.recent_failures(now, settings.failure_half_life_s) + 1
    record.failed_at = now
    record.consecutive_failures += 1
    is_second_chance = record.health is Health.PROBATION and record.ejections_count > 0
    if record.health is Health.EJECTED:
        # What ran when it was ejected says no more than what ejected it.
        if job.running is not None and job.running.started_at >= record.ejected_until:
            _eject(state, record, job, now)
    elif is_second_chance or record.consecutive_failures >= settings.failures_to_eject:
        _try_to_eject(state, record, job, now)


def forgive(state: RouterState, job: Job) -> None:
    """Take a job's failures back from the instances: it broke two of them the same way."""
    for outcome in AttemptOutcome:
        failures = [failure for failure in job.failures if failure.outcome is outcome]
        if len({failure.instance_id for failure in failures}) < 2:
            continue
        for failure in failures:
            record = state.records.get(failure.instance_id)
            if record is None or not failure.is_counted:
                continue
            record.consecutive_failures = max(0, record.consecutive_failures - 1)
            record.failures = max(0.0, record.failures - 1)
            if record.ejected_by == job.job_id:
                record.ejections_count -= 1
                record.ejected_by = None
                if record.health is Health.EJECTED:
                    record.move(Health.PROBATION)
                state.has_news = True


def _try_to_eject(state: RouterState, record: InstanceRecord, job: Job, now: float) -> None:
    is_away = record.health in (Health.DRAINING, Health.GONE)
    if not is_away and _may_eject(state, record):
        record.move(Health.EJECTED)
        _eject(state, record, job, now)


def _eject(state: RouterState, record: InstanceRecord, job: Job, now: float) -> None:
    settings = state.settings
    lasts_s = min(settings.ejection_s * 2.0**record.ejections_count, settings.ejection_max_s)
    jitter = 1 + settings.ejection_jitter * (2 * state.next_draw() - 1)
    record.ejections_count += 1
    record.ejected_until = now + lasts_s * jitter
    record.ejected_by = job.job_id


def _may_eject(state: RouterState, record: InstanceRecord) -> bool:
    """Whether the ejected share stays within its cap for every model that the instance serves."""
    own = next((i for i in state.instances.values() if i.record is record), None)
    for model_name in own.usual_models if own else ():
        peers = state.serving(model_name)
        ejected = sum(peer.record.health is Health.EJECTED for peer in peers)
        count = len(peers) + (own not in peers)  # it may be pausing
        if ejected + 1 > state.settings.ejected_share * count:
            return False
    return True


def _judge_speed(state: RouterState, instance: Instance, model_name: str) -> None:
    record = instance.record
    own, usual_s = instance.speed(model_name).decode, _usual_decode_s(state, model_name)
    if not own.count or not usual_s:
        return
    times = own.mean / usual_s
    if record.health is Health.HEALTHY and times > state.settings.slow_enter:
        record.move(Health.SLOW)
    elif record.health is Health.SLOW and times < state.settings.slow_leave:
        record.move(Health.HEALTHY)


def _usual_decode_s(state: RouterState, model_name: str) -> float:
    """Return the middle one of the instances' seconds per token; 0 before there is one.

    The model's own running mean would not do: it follows the very answers that are slow.
    """
    every = -(-len(state.instances) // _COMPARED)
    known = [
        speed.decode.mean
        for instance in islice(state.instances.values(), 0, None, every)
        if (speed := instance.record.speeds.get(model_name)) and speed.decode.count
    ]
    return median_low(known) if known else 0.0
