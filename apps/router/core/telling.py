"""What gateways are told, each by numbers of its own, and which of them inherits a job. Pure."""

from collections import Counter
from collections.abc import Iterable
from typing import Final

import msgspec

from apps.router.core import effects, letters
from apps.router.core.cluster import NOBODY, Addressed, Cluster
from apps.router.core.effects import Effect
from apps.router.core.watch import excuse

SILENT_AFTER_S: Final = 1.25
"""What instances say does not come through a gateway that is silent: they are not blamed."""

ENDING = effects.FinishJob | effects.RefuseJob
_BY_JOB = effects.AssignJob | effects.RequeueJob | effects.ShowPlace | ENDING


class Telling:
    """What one entry of the stream leads to, in order."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.told: list[Addressed] = []

    def hand_over(self, source: str, job_id: str) -> None:
        """Find a new home for a job, also for one that ended while its home let go of it."""
        home = self.cluster.homes.get(job_id)
        was_told = any(
            one.effect.job_id == job_id and one.gateway == source for one in self.cluster.endings
        )
        if home == source or (home is None and was_told):
            self.adopt([job_id], leaver=source)

    def adopt(self, job_ids: Iterable[str], leaver: str = NOBODY) -> None:
        """Give jobs to those gateways that hold the fewest."""
        cluster = self.cluster
        counts = Counter(cluster.homes.values())
        for job_id in job_ids:
            able = [
                gateway
                for gateway, place in cluster.gateways.items()
                if gateway != leaver and not place.is_leaving
            ]
            home = min(able, key=lambda gateway: counts[gateway], default=NOBODY)
            counts[home] += 1
            if job_id in cluster.homes:
                cluster.homes[job_id] = home
            self._tell_adopter(home, job_id, leaver)

    def _tell_adopter(self, home: str, job_id: str, leaver: str) -> None:
        """Tell a new home what it gets, and how the job ended where it has."""
        cluster = self.cluster
        job = cluster.state.jobs.get(job_id)
        session = job.session if job else None
        if job:
            job.shown_place = None  # its readers hear it from another one
            excuse(job, SILENT_AFTER_S, cluster.now_s)
        if session and letters.gateway_of(session) not in cluster.gateways:
            session = None
        self.tell(home, letters.AdoptJob(job_id, job.attempt if job else 0, session))
        for one in cluster.endings:
            if one.effect.job_id == job_id and one.gateway == leaver:
                one.gateway = home
                self.tell(home, one.effect)

    def send(self, effect: Effect) -> None:
        """Tell an effect to whom it concerns."""
        homes = self.cluster.homes
        if isinstance(effect, _BY_JOB):
            self.tell(homes.get(effect.job_id, NOBODY), effect)
        elif isinstance(effect, effects.CancelAttempt):
            home = homes.get(effect.job_id) or letters.gateway_of(effect.session)
            self.tell(home, effect)
        elif isinstance(effect, effects.WelcomeInstance):
            held_by = tuple(homes.get(offer.job_id, NOBODY) for offer in effect.resumed)
            effect = msgspec.structs.replace(effect, homes=held_by)
            self.tell(letters.gateway_of(effect.session), effect)
        elif isinstance(effect, effects.CloseLink):
            self.tell(letters.gateway_of(effect.session), effect)
        else:
            self._keep(effect)

    def _keep(self, effect: Effect) -> None:
        """Leave a record to the router itself, and count it."""
        if isinstance(effect, effects.RecordAttemptEnd):
            outcomes, outcome = self.cluster.outcomes, effect.ended.outcome.value
            outcomes[outcome] = outcomes.get(outcome, 0) + 1
        self.told.append(Addressed(None, 0, effect))

    def tell(self, gateway: str, effect: Effect) -> None:
        """Number an effect for a gateway; nobody tells one that is no more."""
        if place := self.cluster.gateways.get(gateway):
            self.told.append(Addressed(gateway, place.next_effect, effect))
            place.next_effect += 1
