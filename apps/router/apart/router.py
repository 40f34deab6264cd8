"""A router process: it applies all that gateways say, and while it has the lease it answers.

Active and standby do the same but for writing. Whoever takes over reads to the end of the stream,
writes the last effects once more, and goes on; gateways leave out what they had.
"""

import asyncio
import logging
import math
import secrets
import time
from collections.abc import Callable
from typing import Final, Protocol

from apps.router.apart.connection import AWAY, Pause
from apps.router.apart.lease import Lease
from apps.router.apart.letter_codec import encode_letter
from apps.router.apart.numbering import batch_payload
from apps.router.apart.router_post import READ_COUNT, Entry, RouterPost, Writing
from apps.router.apart.snapshots import BEGINNING, is_after, snapshot_decode, snapshot_encode
from apps.router.apart.window import Window
from apps.router.core.cluster import Cluster, Witness
from apps.router.core.cluster_step import cluster_step
from apps.router.core.effects import Effect
from apps.router.core.events import Event, TimePassed

log = logging.getLogger(__name__)

TICK_S: Final = 0.25
RENEW_S: Final = 0.5
TAKE_S: Final = 0.2
SNAPSHOT_S: Final = 10.0
STALE_S: Final = 5.0
"""What is younger is never trimmed; who was at the stream's end within it has missed nothing."""


class Duties(Protocol):
    """What only the active router does beside answering; called from its loop, unawaited."""

    @property
    def witness(self) -> Witness | None:
        """Who sees what the core is given."""
        ...

    def began(self, cluster: Cluster, last: list[Effect]) -> None:
        """Take up the duties; `last`: records that the one before may not have kept."""
        ...

    def ended(self) -> None:
        """Lay them down."""
        ...

    def keep(self, effect: Effect) -> None:
        """Keep a decision or an attempt's end."""
        ...

    def news(self, cluster: Cluster) -> list[Event]:
        """Return what the core has yet to hear of models and the catalog."""
        ...

    def view(self, cluster: Cluster) -> tuple[bytes, str] | None:
        """Return what web processes are to see and its version; None: nothing new."""
        ...


class Due:
    """Says when something is to be done again."""

    def __init__(self, every_s: float) -> None:
        self.every_s = every_s
        self.at = 0.0

    def is_now(self, now: float) -> bool:
        """Whether it is time; then the next time is set."""
        if now < self.at:
            return False
        self.at = now + self.every_s
        return True


class RouterProcess:
    """One of the routers. `alive` is called in every round, as a sign of health."""

    def __init__(
        self,
        *,
        post: RouterPost,
        lease: Lease,
        name: str,
        duties: Duties,
        alive: Callable[[], None] = lambda: None,
    ) -> None:
        self.post, self.lease, self.name = post, lease, name
        self.duties, self.alive = duties, alive
        self.cluster: Cluster | None = None
        self.token: int | None = None
        self.window = Window()
        self._read_id = BEGINNING
        self._at_end_at = -math.inf
        self._snapshot_id = ""
        self._shown_instances: frozenset[str] = frozenset()
        self._ticks, self._renewals = Due(TICK_S), Due(RENEW_S)
        self._takes, self._snapshots = Due(TAKE_S), Due(SNAPSHOT_S)
        self._is_checked = False
        self._is_stopping = False

    def stop(self) -> None:
        """Give the lease up and end, after the round that runs."""
        self._is_stopping = True

    async def run(self) -> None:
        """Serve until told to stop, whatever is away meanwhile. Raises RedisTooOldError."""
        log.info("router standby", extra={"router": self.name})
        pause = Pause()
        while not self._is_stopping:
            self.alive()
            try:
                await self._round()
                pause.over()
            except AWAY as error:
                log.warning("the router's Redis is away: %s", type(error).__name__)
                await asyncio.sleep(pause.next_s())
        await self._leave()

    async def _round(self) -> None:
        if self.token is None:
            await self._stand_by()
        else:
            await self._act()

    # -- standby -----------------------------------------------------------------------------

    async def _stand_by(self) -> None:
        if not self._is_checked:
            await self.post.check_server()
            self._is_checked = True
        if self.cluster is None:
            await self._load()
        if self._takes.is_now(time.monotonic()):
            token = await self.lease.take()
            if token is not None:
                await self._take_over(token)
                return
        if self.cluster is None:
            await asyncio.sleep(TAKE_S)
        else:
            await self._read(block_ms=int(TAKE_S * 1000))

    async def _load(self) -> bool:
        """Begin from the snapshot, unless what is in memory is younger; return whether it did."""
        data = await self.post.snapshot()
        found = snapshot_decode(data) if data else None
        if found is None or not (self.cluster is None or is_after(found[0], self._read_id)):
            return False
        self._read_id, self.cluster = found
        self.window = Window()
        self._at_end_at = -math.inf
        log.info("router begins from a snapshot", extra={"router": self.name, "entry": found[0]})
        return True

    async def _take_over(self, token: int) -> None:
        """Become the active router: catch up, and write the last effects once more."""
        if self.cluster is None:
            await self._load()
        if self.cluster is None:
            self.cluster = Cluster(salt=secrets.token_bytes(32))
        while await self._read(block_ms=1):
            if not await self.lease.renew(token):
                return
        self.token = token
        log.info("router active", extra={"router": self.name, "token": token})
        self.duties.began(self.cluster, self.window.own())
        self.window.again()
        self._snapshots.at = self._ticks.at = 0.0
        self._renewals.at = time.monotonic() + RENEW_S
        await self._write(self.cluster)

    # -- active ------------------------------------------------------------------------------

    async def _act(self) -> None:
        now = time.monotonic()
        if self._renewals.is_now(now) and not await self.lease.renew(self.token or 0):
            self._deposed()
            return
        wait_s = max(0.001, min(self._ticks.at, self._renewals.at) - now)
        await self._read(block_ms=max(1, int(wait_s * 1000)))
        if self.cluster is not None:
            await self._write(self.cluster)

    async def _write(self, cluster: Cluster) -> None:
        """Write what is to be written now, in one step, if this is still the active router."""
        now, own, snapshot, trim_before = time.monotonic(), b"", b"", ""
        if self._ticks.is_now(now):
            events = [*self.duties.news(cluster), TimePassed()]
            own = batch_payload([encode_letter(event) for event in events])
        if self._snapshots.is_now(now):
            snapshot = snapshot_encode(self._read_id, cluster)
            trim_before, self._snapshot_id = self._snapshot_id, self._read_id
        told = self.window.unwritten()
        # Who has just connected is asked at once: a joined instance is shown with its welcome.
        is_due = own or cluster.state.instances.keys() != self._shown_instances
        view, version = (is_due and self.duties.view(cluster)) or (b"", "")
        self._shown_instances = frozenset(cluster.state.instances)
        if not (told or own or snapshot or view):
            return
        writing = Writing(
            effects=told,
            own=own,
            snapshot=snapshot,
            view=view,
            view_version=version,
            trim_before=trim_before,
        )
        token = self.token or 0
        try:
            is_written = await self.post.write(self.lease.mark(token), token, writing)
        except AWAY:
            self._lost()
            raise
        if is_written:
            self.window.written()
        else:
            self._deposed()

    def _lost(self) -> None:
        """Have all written anew: nobody knows what Redis still has."""
        self.window.again()
        self._snapshots.at = 0.0
        self._snapshot_id = ""

    def _deposed(self) -> None:
        log.warning("router deposed", extra={"router": self.name, "token": self.token})
        self.token = None
        self._lost()
        self.duties.ended()

    async def _leave(self) -> None:
        """Let the standby take over at once."""
        token, self.token = self.token, None
        if token is not None:
            self.duties.ended()
            try:
                await self.lease.give_up(token)
            except AWAY:
                log.warning("the lease could not be given up; it ends by itself")
        log.info("router ended", extra={"router": self.name, "token": token})

    # -- both --------------------------------------------------------------------------------

    async def _read(self, *, block_ms: int) -> bool:
        """Apply what has come; return whether anything had."""
        now = time.monotonic()
        try:
            entries = await self.post.read(self._read_id, block_ms=block_ms)
            if self.token is None and await self._has_missed() and await self._load():
                return True
        except AWAY:
            self._at_end_at = -math.inf
            if self.token is not None:
                self._lost()
            raise
        if len(entries) < READ_COUNT:
            self._at_end_at = now
        for entry in entries:
            self._apply(entry)
        return bool(entries)

    async def _has_missed(self) -> bool:
        """Whether entries may have been trimmed before this standby read them."""
        # By the time after the read: it may have stood still just before.
        if time.monotonic() - self._at_end_at < STALE_S or self._read_id == BEGINNING:
            return False
        first_id = await self.post.first_id()
        if first_id is None or not is_after(first_id, self._read_id):
            return False
        log.warning("entries were trimmed unread", extra={"router": self.name, "first": first_id})
        return True

    def _apply(self, entry: Entry) -> None:
        if self.cluster is None:
            return
        is_active = self.token is not None
        told = cluster_step(
            self.cluster,
            entry.source,
            entry.first,
            entry.letters,
            entry.at_ms,
            token=entry.token,
            witness=self.duties.witness if is_active else None,
        )
        self._read_id = entry.id
        for mishap in self.cluster.mishaps:
            log.error("a letter could not be acted on: %s", mishap, extra={"entry": entry.id})
        self.cluster.mishaps.clear()
        for one in self.window.add(told, self.cluster.ticked_at or 0.0):
            if is_active:
                self.duties.keep(one.effect)
        if not is_active:
            self.window.written()
