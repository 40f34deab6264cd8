"""What waiting readers are told: their place, and how long it will take. Pure.

The wait follows from the measured service rate: each slot of the model's instances comes free
once in a mean job's duration, and those before one that could have it as well are served first.
"""

from collections import Counter
from itertools import islice
from math import ceil
from typing import Final

from apps.router.core.effects import Effect, RefuseJob, ShowPlace
from apps.router.core.endings import end_job
from apps.router.core.instances import Instance
from apps.router.core.state import Job, JobState, RouterState, Served
from apps.router.core.values import Health, Refusal, ServiceClass

_LOOKED_AT: Final = 100


def show_places(state: RouterState, now: float) -> list[Effect]:
    """Tell each waiting job its place, where that has changed."""
    settings = state.settings
    if state.placed_at is not None and now - state.placed_at < settings.places_every_s:
        return []
    state.placed_at = now
    effects: list[Effect] = []
    before: Counter[str | None] = Counter()
    for place, entry in enumerate(state.queue.in_order(now, settings), start=1):
        job = state.jobs[entry.job_id]
        served = _served(state, job.model_name, job.revision, now)
        before[job.model_name] += 1
        effects += _show(state, job, place, served, _turn(job, before, served))
    return effects


def show_place_of(state: RouterState, job_id: str, now: float) -> list[Effect]:
    """Tell a job that was just handed in its place, if it has to wait.

    Far behind it is told the last place, until all places are told.
    """
    job = state.jobs.get(job_id)
    if job is None or job.state is not JobState.QUEUED:
        return []
    served = _served(state, job.model_name, job.revision, now)
    before: Counter[str | None] = Counter()
    order = islice(state.queue.in_order(now, state.settings), _LOOKED_AT)
    for place, entry in enumerate(order, start=1):
        before[state.jobs[entry.job_id].model_name] += 1
        if entry.job_id == job_id:
            return _show(state, job, place, served, _turn(job, before, served))
    before = Counter(state.jobs[other_id].model_name for other_id in state.queue.entries)
    return _show(state, job, len(state.queue), served, _turn(job, before, served))


def make_room(state: RouterState, now: float) -> list[Effect]:
    """Refuse the newest waiting demo jobs while registered ones would wait too long."""
    settings = state.settings
    registered = state.queue.count(ServiceClass.REGISTERED)
    demo = state.queue.classes[ServiceClass.DEMO].by_age
    if not registered or not demo:
        return []
    rate = _served(state, None, None, now).jobs_per_s
    if not rate or registered / rate <= settings.registered_patience_s:
        return []
    # So many the trickle serves within the registered users' patience.
    kept = int(rate * settings.registered_patience_s / settings.trickle_every) + 1
    effects: list[Effect] = []
    for job_id in list(demo)[kept:]:
        end_job(state, state.jobs[job_id])
        detail = "registered users are waiting and visitors make room"
        retry_s = settings.queue_full_retry_s
        effects.append(RefuseJob(job_id, Refusal.QUEUE_FULL, detail, retry_after_s=retry_s))
    return effects


def jobs_per_s(state: RouterState, serving: list[Instance], model_name: str | None) -> float:
    """Return how many jobs a second these instances end when all their slots are busy; 0 unknown.

    An ejected one ends none. Changes nothing, so that pages may ask for it too.
    """
    rate = 0.0
    for instance in serving:
        if instance.record.health is Health.EJECTED:
            continue
        usual = state.models.get(model_name or next(iter(instance.models)))
        mean_s = instance.record.job_s.mean or (usual.job_s.mean if usual else 0.0)
        if mean_s:
            rate += instance.slots / mean_s
    return rate


def _served(state: RouterState, model_name: str | None, revision: str | None, now: float) -> Served:
    """Return who serves a model; read anew now and then, and when the fleet has changed."""
    key = f"{model_name or ''}@{revision or ''}"
    known = state.served.get(key)
    if known is not None and now - known.at < state.settings.places_every_s:
        return known
    serving = state.serving(model_name, revision)
    rate = jobs_per_s(state, serving, model_name)
    models = {name for instance in serving for name in instance.models}
    known = state.served[key] = Served(now, len(serving), rate, models)
    return known


def _turn(job: Job, before: Counter[str | None], served: Served) -> int:
    """Count the jobs up to this one that its instances may have to serve; `before` by model."""
    if job.model_name is None:
        return before.total()
    return before[None] + sum(before[name] for name in served.models | {job.model_name})


def _show(state: RouterState, job: Job, place: int, served: Served, turn: int) -> list[Effect]:
    wait_s = float(ceil(turn / served.jobs_per_s)) if served.jobs_per_s else None
    shown = (place, len(state.queue), served.instances_online, wait_s)
    if job.shown_place == shown:
        return []
    job.shown_place = shown
    return [ShowPlace(job.job_id, *shown)]
