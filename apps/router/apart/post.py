"""A gateway's post: letters to the router and to other gateways, and what comes from them.

One writer: whatever piled up while the last round was under way goes out as the next, so it costs
no delay when there is little and few commands when there is much. More text of an answer that has
begun may wait some milliseconds for company. One reader, of the own inbox (`inbox.py`).
When Redis was away, or has lost its data, all that was written lately is written again; letters
are numbered, so each arrives once.
"""

import asyncio
import contextlib
import logging
import math
import time
from collections.abc import Coroutine, Sequence
from typing import Any, Final, Protocol

from redis.asyncio import Redis
from redis.asyncio.client import Pipeline

from apps.router.apart import keys
from apps.router.apart.connection import AWAY, Pause, cancelled, is_cancelled, redis_connected
from apps.router.apart.inbox import Inbox
from apps.router.apart.keys import INBOX_KEPT_S, INBOX_MOST
from apps.router.apart.letter_codec import encode_letter
from apps.router.apart.numbering import Outgoing
from apps.router.apart.pace import Pace
from apps.router.core.cluster import ROUTER
from apps.router.core.events import Event
from apps.router.core.letters import Between, FromLink, GatewayAlive, Letter
from apps.router.errors import PostFullError
from motherfluxer_wire.frames import Chunk

log = logging.getLogger(__name__)

ALIVE_EVERY_S: Final = 1.0
TEXT_EVERY_S: Final = 0.005
MOST_WAITING_BYTES: Final = 64 * 1024 * 1024


class Writer(Protocol):
    """Writes something of its own with the post's rounds."""

    def commands(self, pipe: "Pipeline[bytes]") -> None:
        """Add commands to the next round."""
        ...

    def written(self, results: Sequence[Any]) -> None:
        """Act on what came of the commands."""
        ...

    def lost(self) -> None:
        """Redis was away: nobody knows what it still has."""
        ...


class Post:
    """The post of one gateway. Letters are taken at any time and go out while Redis is there."""

    def __init__(self, *, redis_url: str, gateway_id: str) -> None:
        self.gateway_id = gateway_id
        self.inbox = Inbox(gateway_id)
        self.away_since: float | None = None
        self._url = redis_url
        self._to_router = Outgoing()
        self._to_gateways: dict[str, Outgoing] = {}
        self._kept_at: dict[str, float] = {}
        self._writers: list[Writer] = []
        self._has_work = asyncio.Event()
        self._idle = asyncio.Event()
        self._pace = Pace(wake=self.wake, every_s=TEXT_EVERY_S)
        self._is_lost = False
        self._is_away: dict[str, bool] = {}
        self._told_at = time.monotonic()
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def is_connected(self) -> bool:
        """Whether Redis answered when it was last asked."""
        return self.away_since is None

    @property
    def is_full(self) -> bool:
        """Whether more waits for Redis, which is away, than is good."""
        if self.is_connected:
            return False
        return sum(box.size_bytes for box in self._boxes) > MOST_WAITING_BYTES

    @property
    def _boxes(self) -> list[Outgoing]:
        return [self._to_router, *self._to_gateways.values()]

    def tell_router(self, letter: Event | Letter) -> None:
        """Send a letter to the router."""
        self._told_at = time.monotonic()
        self._to_router.put(encode_letter(letter))
        self.wake()

    def tell_gateway(self, gateway_id: str, letter: Between) -> None:
        """Send a letter to another gateway. Raises PostFullError."""
        if self.is_full:
            raise PostFullError
        outgoing = self._to_gateways.get(gateway_id)
        if outgoing is None:
            # By the clock: higher than before, for one that was gone and is there again.
            first = time.time_ns() // 1000
            outgoing = self._to_gateways[gateway_id] = Outgoing(next_number=first)
        outgoing.put(encode_letter(letter))
        if _can_wait(letter):
            self._pace.wake_when_due()
        else:
            self.wake()

    def forget(self, gateway_id: str) -> None:
        """Drop what waits for a gateway that is gone; its own name: the others forgot this one."""
        if gateway_id == self.gateway_id:
            self.inbox.forget_gateways()
            return
        self._to_gateways.pop(gateway_id, None)
        self._kept_at.pop(gateway_id, None)
        self.inbox.forget(gateway_id)

    def add_writer(self, writer: Writer) -> None:
        """Let something else write with the rounds."""
        self._writers.append(writer)

    def wake(self) -> None:
        """Say that there is something to write."""
        self._idle.clear()
        self._has_work.set()

    async def start(self) -> None:
        """Begin to write and to read."""
        works = [self._write(), self._read(), self._keep_inbox(), self._live()]
        self._tasks = [asyncio.create_task(work) for work in works]

    async def stop(self, *, within_s: float) -> None:
        """Write what waits, for so long at most, then end."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                self.wake()
                await self._idle.wait()
        await cancelled(self._tasks)

    # -- writing -------------------------------------------------------------------------------

    async def _write(self) -> None:
        pause = Pause()
        async with redis_connected(self._url) as redis:
            while not is_cancelled():
                await self._has_work.wait()
                self._has_work.clear()
                if await self._tried("writing", self._write_round(redis)):
                    pause.over()
                    if not (self._has_work.is_set() or any(box.waiting for box in self._boxes)):
                        self._idle.set()
                else:
                    self._has_work.set()
                    await asyncio.sleep(pause.next_s())

    async def _write_round(self, redis: "Redis[bytes]") -> None:
        if self._is_lost:
            self._lost()
        # Of several batches for one reader none may be refused while a later one is written.
        is_again = any(box.unwritten for box in self._boxes)
        pipe: Pipeline[bytes] = redis.pipeline(transaction=is_again)
        marks = self._add_letters(pipe)
        spans: list[tuple[Writer, int, int]] = []
        for writer in self._writers:
            begin = len(pipe.command_stack)
            writer.commands(pipe)
            spans.append((writer, begin, len(pipe.command_stack)))
        if not pipe.command_stack:
            return
        self._pace.begin_round()
        try:
            results = await pipe.execute(raise_on_error=False)
        except BaseException:
            self._is_lost = True
            raise
        for writer, begin, end in spans:
            writer.written(results[begin:end])
        now = time.monotonic()
        for outgoing, begin, end in marks:
            if failed := [one for one in results[begin:end] if isinstance(one, Exception)]:
                raise failed[0]
            outgoing.written(end - begin, now)

    def _add_letters(self, pipe: "Pipeline[bytes]") -> list[tuple[Outgoing, int, int]]:
        marks = []
        for gateway_id, outgoing in [(ROUTER, self._to_router), *self._to_gateways.items()]:
            begin = len(pipe.command_stack)
            for batch in outgoing.batches():
                fields = {"s": self.gateway_id, "n": batch.first, "b": batch.payload}
                if gateway_id == ROUTER:
                    fields["t"] = self.inbox.token
                    pipe.xadd(keys.EVENTS, fields, maxlen=keys.EVENTS_MOST)
                else:
                    pipe.xadd(keys.inbox(gateway_id), fields, maxlen=INBOX_MOST)
            marks.append((outgoing, begin, len(pipe.command_stack)))
            if gateway_id != ROUTER and len(pipe.command_stack) > begin:
                self._keep_for_a_while(pipe, gateway_id)
        return marks

    def _keep_for_a_while(self, pipe: "Pipeline[bytes]", gateway_id: str) -> None:
        """Have an inbox end by itself, once a second: its gateway may have died for good."""
        now = time.monotonic()
        if now - self._kept_at.get(gateway_id, -math.inf) >= ALIVE_EVERY_S:
            self._kept_at[gateway_id] = now
            pipe.expire(keys.inbox(gateway_id), INBOX_KEPT_S)

    def _lost(self) -> None:
        self._is_lost = False
        self._kept_at.clear()
        for outgoing in self._boxes:
            outgoing.lost()
        for writer in self._writers:
            writer.lost()

    # -- reading -------------------------------------------------------------------------------

    async def _read(self) -> None:
        pause = Pause()
        async with redis_connected(self._url) as redis:
            while not is_cancelled():
                if await self._tried("reading", self.inbox.read(redis)):
                    pause.over()
                else:
                    # Even with nothing to write: Redis may come back without its data.
                    self._is_lost = True
                    self.wake()
                    await asyncio.sleep(pause.next_s())

    # -- living --------------------------------------------------------------------------------

    async def _live(self) -> None:
        while True:
            await asyncio.sleep(ALIVE_EVERY_S)
            if time.monotonic() - self._told_at >= ALIVE_EVERY_S:
                self.tell_router(GatewayAlive())

    async def _keep_inbox(self) -> None:
        """Drop what was read, and have the rest end with the gateway."""
        async with redis_connected(self._url) as redis:
            while not is_cancelled():
                await asyncio.sleep(ALIVE_EVERY_S)
                with contextlib.suppress(*AWAY):
                    await redis.xtrim(self.inbox.key, minid=self.inbox.read_to, approximate=True)
                    await redis.expire(self.inbox.key, INBOX_KEPT_S)

    async def _tried(self, what: str, work: Coroutine[Any, Any, None]) -> bool:
        """Do something with Redis; False when it is away. Say so, once."""
        try:
            await work
        except AWAY as error:
            if self.away_since is None:
                log.error("Redis is away: %s", type(error).__name__)
                self.away_since = time.monotonic()
            self._is_away[what] = True
            return False
        except Exception:  # the rim of the task
            log.exception("the post has stumbled")
            return False
        self._is_away[what] = False
        if self.away_since is not None and not any(self._is_away.values()):
            log.warning("Redis is back")
            self.away_since = None
        return True


def _can_wait(letter: Between) -> bool:
    """Whether it is more text of an answer: its reader has some to go on with."""
    return isinstance(letter, FromLink) and isinstance(letter.frame, Chunk) and letter.frame.seq > 0
