"""Streams of jobs whose home is another process, as they grow: read from their journals.

One replica a job, however many read it, and one blocking read of Redis for all replicas.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from redis.asyncio import Redis

from apps.router.apart import keys
from apps.router.apart.connection import AWAY, LONGEST_PAUSE_S, Pause, is_cancelled
from apps.router.apart.journal_reading import entries_of, journal_read
from apps.router.errors import ErrorCode, JobError, JournalGapError
from apps.router.live.stream_values import Ended
from apps.router.live.streams import JobStream

log = logging.getLogger(__name__)

UNREAD_KEPT_S: Final = 30.0
# A journal that says nothing for so long is looked for; gone twice, its job is lost.
QUIET_S: Final = 5.0
BLOCK_MS: Final = 1000
# After growth, so long for more of it: one read then has many jobs'.
GATHER_S: Final = 0.01
_LOST: Final = "The answer broke off: the process that had it is gone. Ask again."


@dataclass(slots=True, eq=False)
class _Replica:
    stream: JobStream
    read_to: bytes
    heard_at: float
    wanted_at: float
    was_missing: bool = False


@dataclass(slots=True, eq=False)
class _Bell:
    """A stream of this process alone: an entry in it ends the blocking read."""

    key: str
    read_to: bytes = field(default=b"0")
    rung: int = 0


class Followers:
    """The replicas of this process."""

    def __init__(self, *, redis: "Redis[bytes]", gateway_id: str) -> None:
        self._redis: Any = redis
        self._bell = _Bell(keys.bell(gateway_id))
        self._replicas: dict[str, _Replica] = {}
        self._opening: dict[str, asyncio.Task[JobStream | None]] = {}
        self._reader: asyncio.Task[None] | None = None
        self._has_work = asyncio.Event()

    def __contains__(self, job_id: str) -> bool:
        return job_id in self._replicas

    async def follow(self, job_id: str) -> JobStream | None:
        """Return a job's stream, which grows by itself; None when there is no journal of it.

        Raises redis' errors.
        """
        if replica := self._replicas.get(job_id):
            replica.wanted_at = _now()
            return replica.stream
        opening = self._opening.get(job_id)
        if opening is None:
            opening = self._opening[job_id] = asyncio.create_task(self._open(job_id))
            opening.add_done_callback(lambda _: self._opening.pop(job_id, None))
        return await asyncio.shield(opening)

    def send_away(self) -> None:
        """Send those readers elsewhere that find their streams there."""
        for job_id, replica in list(self._replicas.items()):
            if replica.stream.request.can_move and replica.stream.ended is None:
                del self._replicas[job_id]
                replica.stream.move_away()

    async def stop(self) -> None:
        """Follow nothing more."""
        tasks = set(self._opening.values()) | ({self._reader} if self._reader else set())
        while tasks:
            for task in tasks:
                task.cancel()  # redis-py may swallow one
            _, tasks = await asyncio.wait(tasks, timeout=0.1)
        self._reader = None
        self._replicas.clear()

    async def _open(self, job_id: str) -> JobStream | None:
        found = await journal_read(self._redis, job_id)
        if found is None:
            return None
        stream, read_to = found
        now = _now()
        self._replicas[job_id] = _Replica(stream, read_to, heard_at=now, wanted_at=now)
        self._has_work.set()
        if self._reader is None or self._reader.done():
            self._reader = asyncio.create_task(self._read_on())
        elif stream.ended is None:
            await self._ring()
        return stream

    async def _ring(self) -> None:
        pipe = self._redis.pipeline(transaction=False)
        pipe.xadd(self._bell.key, {"b": ""}, maxlen=1, approximate=False)
        pipe.expire(self._bell.key, 60)
        await pipe.execute()

    # -- the reader ----------------------------------------------------------------------------

    async def _read_on(self) -> None:
        """Read until stopped; a Redis that is away is waited for."""
        pause = Pause()
        while not is_cancelled():
            if not self._replicas:
                self._has_work.clear()
                await self._has_work.wait()
            try:
                has_news = await self._read()
                await self._look_after()
            except AWAY:
                await asyncio.sleep(pause.next_s())
            except Exception:  # the rim: one replica's trouble must not stop all others
                log.exception("reading on failed")
                await asyncio.sleep(LONGEST_PAUSE_S)
            else:
                pause.over()
                if has_news:
                    await asyncio.sleep(GATHER_S)

    async def _read(self) -> bool:
        live = {
            keys.journal(job_id): replica
            for job_id, replica in self._replicas.items()
            if replica.stream.ended is None
        }
        bell = self._bell
        places: dict[str, bytes] = {key: replica.read_to for key, replica in live.items()}
        places[bell.key] = bell.read_to
        answer = await self._redis.xread(places, block=BLOCK_MS)
        for name, rows in answer or ():
            key = name.decode()
            if key == bell.key:
                bell.read_to = rows[-1][0]
            else:
                await self._grow(live[key], rows)
        return bool(answer)

    async def _grow(
        self, replica: _Replica, rows: Sequence[tuple[bytes, dict[bytes, bytes]]]
    ) -> None:
        replica.heard_at, replica.was_missing = _now(), False
        try:
            for row_id, fields in rows:
                replica.read_to = row_id
                for entry in entries_of(fields.get(b"b")):
                    replica.stream.apply(entry)
        except JournalGapError:
            replica.read_to = rows[-1][0]
            await self._read_anew(replica)

    async def _read_anew(self, replica: _Replica) -> None:
        found = await journal_read(self._redis, replica.stream.job_id)
        if found is not None:
            replica.stream.apply(found[0].whole())
            replica.read_to = found[1]

    async def _look_after(self) -> None:
        """Drop what nobody reads; end what is lost."""
        now = _now()
        for job_id, replica in list(self._replicas.items()):
            if replica.stream.readers:
                replica.wanted_at = now
            elif now - replica.wanted_at > UNREAD_KEPT_S:
                del self._replicas[job_id]
        for replica in list(self._replicas.values()):
            if replica.stream.ended is None and now - replica.heard_at > QUIET_S:
                await self._look_for(replica)

    async def _look_for(self, replica: _Replica) -> None:
        stream = replica.stream
        replica.heard_at = _now()
        is_missing = not await self._redis.exists(keys.journal(stream.job_id))
        if is_missing and replica.was_missing:
            log.error("job is lost with its journal", extra={"job": stream.job_id})
            error = JobError(ErrorCode.ANSWER_INTERRUPTED, _LOST)
            stream.end(Ended(None, error), at=_now())
        replica.was_missing = is_missing


def _now() -> float:
    return asyncio.get_running_loop().time()
