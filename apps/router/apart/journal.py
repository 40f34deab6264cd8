"""The journals of the jobs whose home this process is: what else would be lost with it.

Changes of all jobs are gathered and written in rounds, at most one each 20 ms; what a reader waits
for (an answer's first text, its end) is written at once.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import msgspec
from redis.asyncio import Redis
from redis.asyncio.client import Pipeline

from apps.router.apart import keys
from apps.router.apart.journal_reading import stream_of_rows
from apps.router.apart.journal_scripts import TAKE_OVER, Round
from apps.router.apart.pace import Pace
from apps.router.live.entries import Grew, JournalEntry, Placed, joined
from apps.router.live.streams import JobStream

log = logging.getLogger(__name__)

ROUND_EVERY_S: Final = 0.02
# Redis that refuses to write (its memory is full) is asked again after this.
REFUSED_S: Final = 1.0
# Longer than a job may wait in the queue, where nothing may change that would renew it.
KEPT_MS: Final = 30 * 60_000
ENDED_KEPT_MS: Final = 2 * 60_000
RENEW_S: Final = 60.0
# So long after its end a stream is written anew when Redis loses its data: who follows missed it.
SETTLED_KEPT_S: Final = 10.0
# After so many entries the whole is written: it is shorter, for Redis and for who reads it.
WHOLE_AFTER: Final = 1000

_encoder: Final = msgspec.msgpack.Encoder()


@dataclass(slots=True, eq=False)
class _Book:
    """What is known of one journal. `told`, `written`: how many changes, the opening being one."""

    stream: JobStream
    epoch: int
    had_epoch: int | None = None
    is_whole_due: bool = True
    pending: list[JournalEntry] = field(default_factory=list)
    since_whole: int = 0
    told: int = 1
    in_flight: int = 0
    written: int = 0
    renewed_at: float = float("-inf")
    settled_at: float | None = None
    waiting: deque[tuple[int, Callable[[], None]]] = field(default_factory=deque)


class Journal:
    """Writes streams down; one of the post's writers.

    `wake` tells the post that there is something to write. A stream that another home has taken
    is moved away, and then handed to `on_taken`.
    """

    def __init__(
        self,
        *,
        redis: "Redis[bytes]",
        wake: Callable[[], None],
        on_taken: Callable[[JobStream], None],
    ) -> None:
        self._redis = redis
        self._wake = wake
        self._on_taken = on_taken
        self._books: dict[str, _Book] = {}
        self._dirty: dict[str, _Book] = {}
        self._in_flight: list[_Book] = []
        self._is_urgent = False
        self._pace = Pace(wake=self._wake_if_dirty, every_s=ROUND_EVERY_S)
        self._round_done = asyncio.Event()

    # -- for the gateway -----------------------------------------------------------------------

    def open(self, stream: JobStream) -> None:
        """Write down the stream and from now on all that becomes of it."""
        self._open(stream, epoch=_now_ms())

    def close(self, stream: JobStream) -> None:
        """Write no more of a stream, not even what is pending; who waits for that is forgotten."""
        stream.told = None
        self._books.pop(stream.job_id, None)
        self._dirty.pop(stream.job_id, None)
        self._look_again()

    async def adopt(self, job_id: str) -> JobStream | None:
        """Take a job from its home, which is shut out; None when its journal is gone or has a hole.

        Raises redis' errors.
        """
        client: Any = self._redis
        found = await client.eval(TAKE_OVER, 1, keys.journal(job_id), _now_ms())
        if not found:
            return None
        epoch, rows = found
        payloads = [dict(zip(row[::2], row[1::2], strict=True)).get(b"b") for _, row in rows]
        stream = stream_of_rows(job_id, payloads)
        if stream is None:
            await client.delete(keys.journal(job_id))  # so its readers hear that it is lost
        else:
            self._open(stream, epoch=int(epoch))
        return stream

    def when_safe(self, stream: JobStream, act: Callable[[], None]) -> None:
        """Call once all that has become of the stream is written; never, when it is taken before.

        It may be called at once.
        """
        book = self._books.get(stream.job_id)
        if book is not None and book.written < book.told:
            book.waiting.append((book.told, act))
        elif not stream.is_moved:
            act()

    async def safe(self, stream: JobStream) -> bool:
        """Wait until all that has become of the stream is written; False when it was taken."""
        book = self._books.get(stream.job_id)
        goal = book.told if book else 0
        while book and book.written < goal and self._books.get(stream.job_id) is book:
            self._hurry()
            await self._round_done.wait()
        return not stream.is_moved

    # -- for the post --------------------------------------------------------------------------

    def commands(self, pipe: "Pipeline[bytes]") -> None:
        """Add the command that writes what is due, if something is."""
        if not self._dirty:
            return
        if not (self._is_urgent or self._pace.is_due):
            self._pace.wake_when_due()
            return
        self._pace.begin_round()
        self._is_urgent = False
        self._in_flight = list(self._dirty.values())
        self._dirty.clear()
        writing, now = Round(), _loop_time()
        for book in self._in_flight:
            _write(book, writing, now)
        pipe.execute_command(*writing.command)

    def written(self, results: Sequence[Any]) -> None:
        """Act on what came of the commands."""
        books, self._in_flight = self._in_flight, []
        if not books:
            return
        answer = results[0]
        if isinstance(answer, Exception):
            failed = {number: str(answer) for number in range(len(books))}
        else:
            failed = {number: why.decode() for number, why in answer}
        for number, book in enumerate(books):
            if self._books.get(book.stream.job_id) is not book:
                continue
            if why := failed.get(number):
                self._refused(book, why)
            else:
                self._safe_now(book)
        self._look_again()

    def lost(self) -> None:
        """Write everything anew: nobody knows what Redis still has."""
        self._in_flight = []
        self._forget_settled()
        for book in self._books.values():
            self._begin_anew(book)
        if self._books:
            self._hurry()

    # -- inner parts ---------------------------------------------------------------------------

    def _open(self, stream: JobStream, *, epoch: int) -> None:
        book = _Book(stream, epoch)
        self._books[stream.job_id] = self._dirty[stream.job_id] = book
        stream.told = partial(self._told, book)
        self._forget_settled()
        self._hurry()

    def _forget_settled(self) -> None:
        long_ago = _loop_time() - SETTLED_KEPT_S
        for book in list(self._books.values()):
            if book.settled_at is not None and book.settled_at < long_ago:
                self.close(book.stream)

    def _told(self, book: _Book, entry: JournalEntry) -> None:
        book.told += 1
        if not book.is_whole_due:
            book.pending.append(entry)
            if len(book.pending) > WHOLE_AFTER:
                book.is_whole_due = True
        self._dirty[book.stream.job_id] = book
        if _can_wait(book, entry):
            self._pace.wake_when_due()
        else:
            self._hurry()

    def _refused(self, book: _Book, why: str) -> None:
        stream = book.stream
        if why == "taken":
            log.warning("job was taken by another home", extra={"job": stream.job_id})
            self.close(stream)
            stream.move_away()
            self._on_taken(stream)
            return
        if why == "gone":
            log.warning("journal was gone", extra={"job": stream.job_id})
            self._begin_anew(book)
            self._hurry()
            return
        log.error("journal refused", extra={"job": stream.job_id, "detail": why})
        book.renewed_at = float("-inf")
        book.is_whole_due = True
        self._dirty[stream.job_id] = book
        self._pace.hold(REFUSED_S)
        self._pace.wake_when_due()

    def _safe_now(self, book: _Book) -> None:
        book.written, book.had_epoch = book.in_flight, None
        while book.waiting and book.waiting[0][0] <= book.written:
            try:
                book.waiting.popleft()[1]()
            except Exception:  # the rim: one job's trouble must not stop the post of all
                log.exception("what waited for the journal failed")
        if book.stream.ended is not None and book.written == book.told:
            book.settled_at = _loop_time()

    def _begin_anew(self, book: _Book) -> None:
        if book.had_epoch is None:
            book.had_epoch = book.epoch
        book.epoch = max(book.epoch + 1, _now_ms())
        book.is_whole_due = True
        book.told += 1
        book.renewed_at = float("-inf")
        self._dirty[book.stream.job_id] = book

    def _look_again(self) -> None:
        """Let those who wait for something to be kept see whether it is."""
        done, self._round_done = self._round_done, asyncio.Event()
        done.set()

    def _hurry(self) -> None:
        self._is_urgent = True
        self._wake()

    def _wake_if_dirty(self) -> None:
        if self._dirty:
            self._wake()


def _write(book: _Book, writing: Round, now: float) -> None:
    stream = book.stream
    entries = [stream.whole()] if book.is_whole_due else joined(book.pending)
    kept_ms = None
    if stream.ended is not None:
        kept_ms = ENDED_KEPT_MS
    elif now - book.renewed_at > RENEW_S:
        kept_ms, book.renewed_at = KEPT_MS, now
    writing.add(
        stream.job_id,
        _encoder.encode(entries),
        epoch=book.epoch,
        had_epoch=book.had_epoch,
        is_whole=book.is_whole_due,
        kept_ms=kept_ms,
    )
    book.since_whole = 0 if book.is_whole_due else book.since_whole + 1
    book.is_whole_due = book.since_whole >= WHOLE_AFTER
    book.pending.clear()
    book.in_flight = book.told


def _can_wait(book: _Book, entry: JournalEntry) -> bool:
    """Whether no reader waits for it: more text, or a place."""
    if isinstance(entry, Grew):
        return entry.offset > len(book.stream.request.beginning)
    return isinstance(entry, Placed)


def _loop_time() -> float:
    return asyncio.get_running_loop().time()


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
