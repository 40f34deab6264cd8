"""Several gateways around one core: who is told what, and who inherits what. Pure.

Two routers that apply the same letters in the same order make the same effects with the same
numbers; so the one that takes over can write again what the other may have failed to write.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from apps.router.core import effects, events, letters
from apps.router.core.cluster import (
    NOBODY,
    ROUTER,
    Addressed,
    Cluster,
    Ending,
    GatewayPlace,
    Told,
    Witness,
)
from apps.router.core.events import Event
from apps.router.core.fleet import close_replaced
from apps.router.core.pseudonyms import with_pseudonyms
from apps.router.core.step import step
from apps.router.core.telling import ENDING, SILENT_AFTER_S, Telling
from apps.router.core.watch import excuse

DEAD_AFTER_S: Final = 3.0
"""A gateway says something each second; one that does not is dead, or as good as that."""

STALL_S: Final = 1.0
"""Ticks come every 0.25 s. After a longer pause nobody is blamed for what could not be read."""

ENDINGS_KEPT_S: Final = 10.0
ORPHANS_ENDINGS_KEPT_S: Final = 120.0
GONE_KEPT_S: Final = 600.0

_RESTARTING: Final = 1012
_OF_HOME = (
    events.JobProgressed
    | events.TokensCounted
    | events.AttemptDone
    | events.AttemptFailed
    | events.AttemptLost
)


def cluster_step(
    cluster: Cluster,
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
    with the router's own entries: those of a router that was deposed change nothing. With a
    gateway's it is that of the router that it heard last, 0 before the first. None stands for a
    letter that was not understood.
    """
    cluster.now_s = max(cluster.now_s, at_ms / 1000)
    cluster.begun_at_s = cluster.begun_at_s or cluster.now_s
    batch = _Batch(cluster, witness)
    if source == ROUTER:
        if batch.is_of_active(token):
            for event in told:
                batch.attempt(batch.router_said, event)
    else:
        for event in batch.news_of(source, number, told, token):
            batch.attempt(partial(batch.gateway_said, source), event)
    return batch.telling.told


class _Batch:
    """What one entry of the stream leads to."""

    def __init__(self, cluster: Cluster, witness: Witness | None) -> None:
        self.cluster = cluster
        self.witness = witness
        self.telling = Telling(cluster)

    def attempt(self, act: Callable[[Told], None], event: Told) -> None:
        """Act on one letter; one that can't be acted on is left out, by every router alike."""
        try:
            act(event)
        except Exception as error:  # noqa: BLE001 # the rim: else it would end each router in turn
            self.cluster.mishaps.append(f"{type(event).__name__}: {error!r}")

    # -- gateways ----------------------------------------------------------------------------

    def news_of(self, source: str, number: int, told: Sequence[Told], token: int) -> Sequence[Told]:
        """Note that a gateway lives, and return those of its letters that are new."""
        place = self.cluster.gateways.get(source) or self._came(source, number, token)
        place.heard_at = self.cluster.now_s
        known = place.next_letter - number
        if known < 0:
            place.missed_count -= known
        place.next_letter = max(place.next_letter, number + len(told))
        return told[max(0, known) :]

    def _came(self, source: str, number: int, token: int) -> GatewayPlace:
        """Give a gateway its place. One that was taken for dead hears of it: it has lost all."""
        cluster = self.cluster
        if before := cluster.gone.pop(source, None):
            cluster.gateways[source] = before
            self.telling.tell(source, letters.GatewayGone(source))
        elif number == 0 and token == 0:
            cluster.gateways[source] = GatewayPlace(cluster.now_s, number, 0)
        else:
            self._met(source, number)
        untold = [one.effect.job_id for one in cluster.endings if one.gateway == NOBODY]
        self.telling.adopt([*untold, *cluster.orphans])
        return cluster.gateways[source]

    def _met(self, source: str, number: int) -> None:
        """Give a place to a gateway that has known a router, and see what it has lost by that."""
        cluster = self.cluster
        # Higher than what a router told it that has lost its memory.
        place = GatewayPlace(cluster.now_s, number, int(cluster.now_s * 1000) * 1000)
        cluster.gateways[source] = place
        if cluster.now_s - cluster.begun_at_s > GONE_KEPT_S:  # it was taken for dead, long ago
            self.telling.tell(source, letters.GatewayGone(source))
        else:
            place.is_unknown = True
            self.telling.tell(source, letters.TellAnew())

    def gateway_said(self, source: str, event: Told) -> None:
        """Act on one letter of a gateway."""
        place = self.cluster.gateways.get(source)
        if place is None:  # it has said that it leaves
            return
        if isinstance(event, letters.GatewayCame):
            place.version = event.version
            place.is_unknown = place.is_unknown and not event.is_anew
        elif isinstance(event, letters.GatewayLeaving):
            place.is_leaving = True
        elif isinstance(event, letters.GatewayLeft):
            self._remove(source)
        elif place.is_unknown:
            return
        elif isinstance(event, letters.JobHandedOver):
            place.is_leaving = True
            self.telling.hand_over(source, event.job_id)
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
        elif isinstance(event, events.InstanceJoined):
            self._leave_other_gateways(event)
        elif isinstance(event, events.LinkBroken) and self.cluster.gateways[source].is_leaving:
            event = events.LinkBroken(event.session, is_ours=True)
        self._step(with_pseudonyms(event, self.cluster.salt))

    def _leave_other_gateways(self, joined: events.InstanceJoined) -> None:
        """Blame no instance that comes anew: its gateway may be dead, and not yet known to be."""
        here = letters.gateway_of(joined.session)
        for older in list(self.cluster.state.instances.values()):
            is_elsewhere = letters.gateway_of(older.session) != here
            if older.instance_id == joined.instance_id and is_elsewhere:
                self.telling.send(close_replaced(older))
                self._step(events.LinkBroken(older.session, is_ours=True))

    def _close_unknown(self, session: str) -> None:
        """Let an instance come anew whose link this router has never heard of, or forgot."""
        if session not in self.cluster.state.instances:
            words = "the router does not know this link"
            self.telling.send(effects.CloseLink(session, _RESTARTING, words))

    # -- the router --------------------------------------------------------------------------

    def is_of_active(self, token: int) -> bool:
        """Note who acts; False for an entry of a router that was deposed."""
        if token < self.cluster.token:
            return False
        if token > self.cluster.token:
            self.cluster.takeovers_count += self.cluster.token > 0
            self.cluster.token = token
        return True

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
            self._begin_anew(before)
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

    def _begin_anew(self, stopped_at: float | None) -> None:
        """Count from now on what no router could act on: who lives, and ends to be told."""
        cluster = self.cluster
        for place in cluster.gateways.values():
            place.heard_at = cluster.now_s
        for ending in cluster.endings:
            if stopped_at is not None and ending.at >= stopped_at:
                ending.at = cluster.now_s

    def _excuse(self, silent: set[str], seconds: float) -> None:
        """Blame no instance for what may not have come through its gateway or a job's home."""
        state, homes, now = self.cluster.state, self.cluster.homes, self.cluster.now_s
        for instance in state.instances.values():
            if letters.gateway_of(instance.session) in silent:
                instance.last_heard_at = now
        for job in state.jobs.values():
            if homes.get(job.job_id) in silent or letters.gateway_of(job.session or "") in silent:
                excuse(job, seconds, now)

    # -- homes -------------------------------------------------------------------------------

    def _remove(self, gateway: str) -> None:
        """Give a gateway's jobs to others, and break its links."""
        cluster = self.cluster
        cluster.gone[gateway] = cluster.gateways.pop(gateway)
        for other in cluster.gateways:
            self.telling.tell(other, letters.GatewayGone(gateway))
        ended = [one.effect.job_id for one in cluster.endings if one.gateway == gateway]
        running = [job_id for job_id, home in cluster.homes.items() if home == gateway]
        self.telling.adopt([*ended, *running], leaver=gateway)
        for session in list(cluster.state.instances):
            if letters.gateway_of(session) == gateway:
                self._step(events.LinkBroken(session, is_ours=True))

    def _step(self, event: Event) -> None:
        cluster = self.cluster
        if self.witness:
            self.witness.before(event, cluster.now_s)
        followed = step(cluster.state, event, cluster.now_s)
        if self.witness:
            self.witness.after(followed)
        for effect in followed:
            self.telling.send(effect)
        for effect in followed:
            if isinstance(effect, ENDING):
                home = cluster.homes.pop(effect.job_id, NOBODY)
                cluster.endings.append(Ending(cluster.now_s, home, effect))


def _is_old(ending: Ending, now: float) -> bool:
    kept_s = ENDINGS_KEPT_S if ending.gateway != NOBODY else ORPHANS_ENDINGS_KEPT_S
    return now - ending.at > kept_s
