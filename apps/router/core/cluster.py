"""Several gateways around one core: who is there, which holds which job, who is told what. Pure.

Two routers that apply the same letters in the same order make the same effects with the same
numbers; so the one that takes over can write again what the other may have failed to write.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final, NamedTuple, Protocol

import msgspec

from apps.router.core import effects, events, letters
from apps.router.core.effects import Effect
from apps.router.core.events import Event
from apps.router.core.letters import Letter
from apps.router.core.pseudonyms import with_pseudonyms
from apps.router.core.state import RouterState
from apps.router.core.step import step
from apps.router.core.watch import excuse

ROUTER: Final = "router"
"""The source of ticks and of what the active router learns from the database."""

NOBODY: Final = ""
"""The home of a job while no gateway lives that could be it."""

FORMAT: Final = 1
"""Of what `cluster_encode` writes; another version's is not read."""

DEAD_AFTER_S: Final = 3.0
"""A gateway says something each second; one that does not is dead, or as good as that."""

SILENT_AFTER_S: Final = 1.25
"""What instances say does not come through a gateway that is silent: they are not blamed."""

STALL_S: Final = 1.0
"""Ticks come every 0.25 s. After a longer pause nobody is blamed for what could not be read."""

ENDINGS_KEPT_S: Final = 10.0
ORPHANS_ENDINGS_KEPT_S: Final = 120.0
GONE_KEPT_S: Final = 600.0

_RESTARTING: Final = 1012
Told = Event | Letter | None
_ENDING = effects.FinishJob | effects.RefuseJob
_BY_JOB = effects.AssignJob | effects.RequeueJob | effects.ShowPlace | _ENDING
_OF_HOME = (
    events.JobProgressed
    | events.TokensCounted
    | events.AttemptDone
    | events.AttemptFailed
    | events.AttemptLost
)


class Addressed(NamedTuple):
    """An effect, whose it is (None: the router's own), and its number there."""

    gateway: str | None
    number: int
    effect: Effect


class Witness(Protocol):
    """Sees what the core is given and what follows, in order."""

    def before(self, event: Event, at: float) -> None:
        """See an event that the core has yet to be given."""
        ...

    def after(self, told: Iterable[Effect]) -> None:
        """See what followed."""
        ...


@dataclass(slots=True)
class GatewayPlace:
    """One gateway. `next_letter` is expected from it, `next_effect` is the next one's number.

    `missed_count`: letters that never came, by the gaps in their numbers.
    """

    heard_at: float
    next_letter: int
    next_effect: int
    version: str = ""
    is_leaving: bool = False
    missed_count: int = 0


@dataclass(slots=True)
class Ending:
    """How a job ended a moment ago, and which gateway was told."""

    at: float
    gateway: str
    effect: effects.FinishJob | effects.RefuseJob


@dataclass(slots=True)
class Cluster:
    """All that routers share, as plain data; changed by `apply` alone.

    homes: the gateway that holds each job's stream, NOBODY for the moment when none lives.
    gone: gateways that were taken for dead, by when; one that wakes up goes on with its numbers.
    endings: the last jobs' ends, told again if their gateway dies before its readers saw them.
    takeovers_count: how often another router began to act. `outcomes`: ended attempts by outcome.
    mishaps: letters that could not be acted on; whoever applies takes them out.
    """

    salt: bytes
    state: RouterState = field(default_factory=RouterState)
    gateways: dict[str, GatewayPlace] = field(default_factory=dict)
    gone: dict[str, GatewayPlace] = field(default_factory=dict)
    homes: dict[str, str] = field(default_factory=dict)
    endings: list[Ending] = field(default_factory=list)
    token: int = 0
    begun_at_s: float = 0.0
    now_s: float = 0.0
    ticked_at: float | None = None
    takeovers_count: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)
    mishaps: list[str] = field(default_factory=list)

    def apply(
        self,
        source: str,
        number: int,
        told: Sequence[Told],
        at_ms: int,
        *,
        token: int = 0,
        witness: Witness | None = None,
    ) -> list[Addressed]:
        """Apply one entry of the stream and return what is to be done, in order.

        `number` is the first letter's; letters that were had before are left out. `token` comes
        with the router's own entries: those of a router that was deposed change nothing. None
        stands for a letter that was not understood.
        """
        self.now_s = max(self.now_s, at_ms / 1000)
        self.begun_at_s = self.begun_at_s or self.now_s
        batch = _Batch(self, witness)
        if source == ROUTER:
            if self._is_of_active(token):
                for event in told:
                    batch.attempt(batch.router_said, event)
        else:
            for event in batch.news_of(source, number, told):
                batch.attempt(partial(batch.gateway_said, source), event)
        return batch.told

    @property
    def orphans(self) -> list[str]:
        """The jobs that no gateway holds."""
        return [job_id for job_id, home in self.homes.items() if home == NOBODY]

    def _is_of_active(self, token: int) -> bool:
        if token < self.token:
            return False
        if token > self.token:
            self.takeovers_count += self.token > 0
            self.token = token
        return True


class _Batch:
    """What one entry of the stream leads to."""

    def __init__(self, cluster: Cluster, witness: Witness | None) -> None:
        self.cluster = cluster
        self.witness = witness
        self.told: list[Addressed] = []

    def attempt(self, act: Callable[[Told], None], event: Told) -> None:
        """Act on one letter; one that can't be acted on is left out, by every router alike."""
        try:
            act(event)
        except Exception as error:  # noqa: BLE001 # the rim: else it would end each router in turn
            self.cluster.mishaps.append(f"{type(event).__name__}: {error!r}")

    # -- gateways ----------------------------------------------------------------------------

    def news_of(self, source: str, number: int, told: Sequence[Told]) -> Sequence[Told]:
        """Note that a gateway lives, and return those of its letters that are new."""
        place = self.cluster.gateways.get(source) or self._came(source, number)
        place.heard_at = self.cluster.now_s
        known = place.next_letter - number
        if known < 0:
            place.missed_count -= known
        place.next_letter = max(place.next_letter, number + len(told))
        return told[max(0, known) :]

    def _came(self, source: str, number: int) -> GatewayPlace:
        """Give a gateway its place. One that was taken for dead hears of it: it has lost all."""
        cluster = self.cluster
        if before := cluster.gone.pop(source, None):
            cluster.gateways[source] = before
            self._tell(source, letters.GatewayGone(source))
        else:
            # Not its first letter: higher than what a router told it that has lost its memory.
            first = int(cluster.now_s * 1000) * 1000 if number else 0
            cluster.gateways[source] = GatewayPlace(cluster.now_s, number, first)
        untold = [one.effect.job_id for one in cluster.endings if one.gateway == NOBODY]
        self._adopt([*untold, *cluster.orphans])
        return cluster.gateways[source]

    def gateway_said(self, source: str, event: Told) -> None:
        """Act on one letter of a gateway."""
        place = self.cluster.gateways.get(source)
        if place is None:  # it has said that it leaves
            return
        if isinstance(event, letters.GatewayCame):
            place.version = event.version
        elif isinstance(event, letters.GatewayLeaving):
            place.is_leaving = True
        elif isinstance(event, letters.GatewayLeft):
            self._remove(source)
        elif isinstance(event, letters.JobHandedOver):
            place.is_leaving = True
            self._hand_over(source, event.job_id)
        elif isinstance(event, Event):
            self._core_event(source, event)

    def _core_event(self, source: str, event: Event) -> None:
        homes = self.cluster.homes
        if isinstance(event, events.JobSubmitted):
            if event.job_id in homes:
                return
            homes[event.job_id] = source
        elif isinstance(event, _OF_HOME) and homes.get(event.job_id, source) != source:
            return  # whoever was the home before has no say
        elif isinstance(event, events.HeartbeatReceived):
            self._close_unknown(event.session)
        elif isinstance(event, events.LinkBroken) and self.cluster.gateways[source].is_leaving:
            event = events.LinkBroken(event.session, is_ours=True)
        self._step(with_pseudonyms(event, self.cluster.salt))

    def _close_unknown(self, session: str) -> None:
        """Let an instance come anew whose link this router has never heard of, or forgot."""
        if session not in self.cluster.state.instances:
            words = "the router does not know this link"
            self._send(effects.CloseLink(session, _RESTARTING, words))

    # -- the router --------------------------------------------------------------------------

    def router_said(self, event: Told) -> None:
        """Act on one entry of the active router."""
        if isinstance(event, events.TimePassed):
            self._bury_dead()
        if isinstance(event, Event):
            self._step(event)

    def _bury_dead(self) -> None:
        cluster, now = self.cluster, self.cluster.now_s
        before, cluster.ticked_at = cluster.ticked_at, now
        if before is None or now - before > STALL_S:
            for place in cluster.gateways.values():
                place.heard_at = now
        for gateway, place in list(cluster.gateways.items()):
            if now - place.heard_at > DEAD_AFTER_S:
                self._remove(gateway)
        silent = {
            gateway
            for gateway, place in cluster.gateways.items()
            if now - place.heard_at > SILENT_AFTER_S
        }
        if silent and before is not None:
            self._excuse(silent, now - before)
        for gateway, place in list(cluster.gone.items()):
            if now - place.heard_at > GONE_KEPT_S:
                del cluster.gone[gateway]
        if cluster.endings and now - cluster.endings[0].at > ENDINGS_KEPT_S:
            cluster.endings = [one for one in cluster.endings if not _is_old(one, now)]

    def _excuse(self, silent: set[str], seconds: float) -> None:
        """Blame no instance for what may not have come through its gateway or a job's home."""
        state, homes, now = self.cluster.state, self.cluster.homes, self.cluster.now_s
        for instance in state.instances.values():
            if letters.gateway_of(instance.session) in silent:
                instance.last_heard_at = now
        for job in state.jobs.values():
            if homes.get(job.job_id) in silent or letters.gateway_of(job.session or "") in silent:
                excuse(state, job, seconds, now)

    # -- homes -------------------------------------------------------------------------------

    def _remove(self, gateway: str) -> None:
        """Give a gateway's jobs to others, and break its links."""
        cluster = self.cluster
        cluster.gone[gateway] = cluster.gateways.pop(gateway)
        for other in cluster.gateways:
            self._tell(other, letters.GatewayGone(gateway))
        ended = [one.effect.job_id for one in cluster.endings if one.gateway == gateway]
        running = [job_id for job_id, home in cluster.homes.items() if home == gateway]
        self._adopt([*ended, *running], leaver=gateway)
        for session in list(cluster.state.instances):
            if letters.gateway_of(session) == gateway:
                self._step(events.LinkBroken(session, is_ours=True))

    def _hand_over(self, source: str, job_id: str) -> None:
        """Find a new home for a job, also for one that ended while its home let go of it."""
        home = self.cluster.homes.get(job_id)
        was_told = any(
            one.effect.job_id == job_id and one.gateway == source for one in self.cluster.endings
        )
        if home == source or (home is None and was_told):
            self._adopt([job_id], leaver=source)

    def _adopt(self, job_ids: Iterable[str], leaver: str = NOBODY) -> None:
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
            excuse(cluster.state, job, SILENT_AFTER_S, cluster.now_s)
        if session and letters.gateway_of(session) not in cluster.gateways:
            session = None
        self._tell(home, letters.AdoptJob(job_id, job.attempt if job else 0, session))
        for one in cluster.endings:
            if one.effect.job_id == job_id and one.gateway == leaver:
                one.gateway = home
                self._tell(home, one.effect)

    # -- effects -----------------------------------------------------------------------------

    def _step(self, event: Event) -> None:
        cluster = self.cluster
        if self.witness:
            self.witness.before(event, cluster.now_s)
        followed = step(cluster.state, event, cluster.now_s)
        if self.witness:
            self.witness.after(followed)
        for effect in followed:
            self._send(effect)
        for effect in followed:
            if isinstance(effect, _ENDING):
                home = cluster.homes.pop(effect.job_id, NOBODY)
                cluster.endings.append(Ending(cluster.now_s, home, effect))

    def _send(self, effect: Effect) -> None:
        """Tell an effect to whom it concerns."""
        homes = self.cluster.homes
        if isinstance(effect, _BY_JOB):
            self._tell(homes.get(effect.job_id, NOBODY), effect)
        elif isinstance(effect, effects.CancelAttempt):
            home = homes.get(effect.job_id) or letters.gateway_of(effect.session)
            self._tell(home, effect)
        elif isinstance(effect, effects.WelcomeInstance):
            held_by = tuple(homes.get(offer.job_id, NOBODY) for offer in effect.resumed)
            effect = msgspec.structs.replace(effect, homes=held_by)
            self._tell(letters.gateway_of(effect.session), effect)
        elif isinstance(effect, effects.CloseLink):
            self._tell(letters.gateway_of(effect.session), effect)
        else:
            self._keep(effect)

    def _keep(self, effect: Effect) -> None:
        """Leave a record to the router itself, and count it."""
        if isinstance(effect, effects.RecordAttemptEnd):
            outcomes, outcome = self.cluster.outcomes, effect.ended.outcome.value
            outcomes[outcome] = outcomes.get(outcome, 0) + 1
        self.told.append(Addressed(None, 0, effect))

    def _tell(self, gateway: str, effect: Effect) -> None:
        """Number an effect for a gateway; nobody tells one that is no more."""
        if place := self.cluster.gateways.get(gateway):
            self.told.append(Addressed(gateway, place.next_effect, effect))
            place.next_effect += 1


def _is_old(ending: Ending, now: float) -> bool:
    kept_s = ENDINGS_KEPT_S if ending.gateway != NOBODY else ORPHANS_ENDINGS_KEPT_S
    return now - ending.at > kept_s


def cluster_encode(cluster: Cluster) -> bytes:
    """Write all of it down."""
    return msgspec.msgpack.encode(cluster)


def cluster_decode(data: bytes) -> Cluster:
    """Read it back. Raises msgspec.DecodeError."""
    cluster = msgspec.msgpack.decode(data, type=Cluster)
    for instance in cluster.state.instances.values():
        instance.record = cluster.state.records[instance.instance_id]
    return cluster
