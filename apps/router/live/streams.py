"""A job's stream: the one place where its answer's text grows, and from where readers take it.

A reader holds an offset into the text, counted in characters. So a slow reader costs nothing and
blocks nobody, and one that comes back with its last offset gets exactly what it missed.

Every change is told as an entry; the same stream comes of applying the entries elsewhere.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from functools import singledispatchmethod
from typing import Final

from apps.router.errors import JobMovedError, JournalGapError
from apps.router.live import entries
from apps.router.live.entries import JournalEntry
from apps.router.live.stream_values import (
    Ended,
    JobRequest,
    Piece,
    Started,
    StreamEvent,
    Waiting,
)
from motherfluxer_wire.errors import WireError, WireRule
from motherfluxer_wire.frames import Chunk, Usage

__all__ = [
    "Ended",
    "JobRequest",
    "JobStream",
    "Piece",
    "Started",
    "StreamEvent",
    "Waiting",
    "stream_from",
]

# An instance is not trusted to stop: the prefix of a next attempt must fit a frame.
MAX_ANSWER_CHARS: Final = 128 * 1024
MAX_ANSWER_TOKENS: Final = 64 * 1024


class JobStream:
    """One job's answer as it grows. Written by the gateway, read by any number of readers.

    `told`, where it is set, hears of each change after it was made.
    """

    def __init__(self, job_id: str, request: JobRequest, *, submitted_at: float) -> None:
        self.told: Callable[[JournalEntry], None] | None = None
        self.job_id = job_id
        self.request = request
        self.submitted_at = submitted_at
        self.text = request.beginning
        self.completion_tokens = 0
        self.usage: Usage | None = None
        self.started: Started | None = None
        self.ended: Ended | None = None
        self.ended_at: float | None = None
        self.is_moved = False
        self.readers = 0
        self.progressed_at = float("-inf")
        self.has_told_text = bool(request.beginning)
        self._earlier_tokens = 0
        self._position: Waiting | Started | None = None
        self._attempt = 0
        self._owner: str | None = None
        self._next_seq = 0
        self._token_ids: list[int] | None = None if request.beginning else []
        self._fingerprint: str | None = None
        self._changed = asyncio.Event()
        self._moved_up = asyncio.Event()

    async def read(
        self, offset: int = 0, *, tells_places: bool = True
    ) -> AsyncIterator[StreamEvent]:
        """Yield what happens, from `offset` characters into the text until the end.

        Who wants no places is not woken for each: programs may wait by the hundred.
        Raises JobMovedError when the rest is to be had from another process.
        """
        shown: Waiting | Started | None = None
        self.readers += 1
        try:
            while True:
                changed = self._moved_up if tells_places else self._changed
                is_told = tells_places or not isinstance(self._position, Waiting)
                if is_told and self._position is not None and self._position != shown:
                    shown = self._position
                    yield shown
                if len(self.text) > offset:
                    piece = self.text[offset:]
                    offset += len(piece)
                    yield Piece(piece, offset)
                elif self.ended is not None:
                    yield self.ended
                    return
                elif self.is_moved:
                    raise JobMovedError
                else:
                    await changed.wait()
        finally:
            self.readers -= 1

    @property
    def is_taken(self) -> bool:
        """Whether the router has said anything of the job yet."""
        return self._position is not None or self.ended is not None

    async def wait_taken(self) -> None:
        """Wait for the router's first word of the job, which another process may hear."""
        while not (self.is_taken or self.is_moved):
            await self._moved_up.wait()

    async def wait_ended(self) -> Ended:
        """Wait for the end. Raises JobMovedError when it comes at another process."""
        self.readers += 1
        try:
            while self.ended is None:
                if self.is_moved:
                    raise JobMovedError
                await self._changed.wait()
        finally:
            self.readers -= 1
        return self.ended

    # -- the gateway's side ------------------------------------------------------------------

    @property
    def waiting(self) -> Waiting | None:
        """Where the job stands in the queue; None once an instance has it."""
        position = self._position if self.ended is None else None
        return position if isinstance(position, Waiting) else None

    @property
    def attempt(self) -> int:
        """The number of the latest attempt; 0 before the first."""
        return self._attempt

    @property
    def owner(self) -> str | None:
        """The link whose chunks are taken; None while nobody's are."""
        return self._owner

    @property
    def next_seq(self) -> int:
        """The number of the chunk that comes next in this attempt."""
        return self._next_seq

    @property
    def attempt_tokens(self) -> int:
        """How many tokens this attempt has given."""
        return self.completion_tokens - self._earlier_tokens

    def has_news(self, now: float, *, every_s: float) -> bool:
        """Whether the router should hear of progress: the first text at once, else now and then."""
        is_first_text = bool(self.text) and not self.has_told_text
        return is_first_text or now - self.progressed_at >= every_s

    def set_place(self, place: Waiting) -> None:
        """Tell the readers their place in the queue."""
        if self.ended is None:
            self._position = place
            moved_up, self._moved_up = self._moved_up, asyncio.Event()
            moved_up.set()
            self._tell(entries.Placed(place))

    def begin_attempt(self, started: Started, *, owner: str, fingerprint: str | None) -> None:
        """Give the stream to one link; what any other sends is ignored from now on."""
        self.started = self._position = started
        self._attempt = started.attempt
        self._owner = owner
        self._next_seq = 0
        self._earlier_tokens = self.completion_tokens
        self.progressed_at = float("-inf")
        if self.text and fingerprint != self._fingerprint:
            self._token_ids = None
        self._fingerprint = fingerprint
        self._wake()
        self._tell(entries.Begun(started, owner, fingerprint))

    def detach(self) -> None:
        """Take the stream from its link; the attempt may be taken up again by `resume_attempt`."""
        self._owner = None
        self._tell(entries.Detached())

    def can_resume(self, *, attempt: int, next_seq: int) -> bool:
        """Whether an instance that offers this attempt holds everything from here on."""
        return self.ended is None and attempt == self._attempt and next_seq >= self._next_seq

    def resume_attempt(self, owner: str) -> None:
        """Give the same attempt to its instance's new link."""
        self._owner = owner
        self._position = self.started
        self._wake()
        self._tell(entries.Resumed(owner))

    def prefix_token_ids(self, fingerprint: str | None) -> list[int] | None:
        """Return the text so far as token ids, if all of it is known in this model's own ids."""
        is_same = fingerprint is not None and fingerprint == self._fingerprint
        return list(self._token_ids) if is_same and self._token_ids else None

    def accept(self, chunk: Chunk, *, owner: str) -> bool:
        """Append a chunk; False when it is another attempt's or was here before.

        Raises WireError when chunks are missing in between.
        """
        if self.ended or owner != self._owner or chunk.attempt != self._attempt:
            return False
        if chunk.seq < self._next_seq:
            return False
        if chunk.seq > self._next_seq:
            self._raise_gap(chunk.seq)
        self._check_size(chunk)
        has_ids = chunk.token_ids is not None and len(chunk.token_ids) == chunk.tokens
        grew = entries.Grew(
            len(self.text),
            chunk.text,
            self.completion_tokens + chunk.tokens,
            chunk.seq + 1,
            chunk.token_ids if has_ids else None,
        )
        self._grow(grew)
        self._tell(grew)
        return True

    def is_complete(self, *, attempt: int, seq: int, owner: str) -> bool:
        """Tell whether a last frame is this attempt's. Raises WireError when chunks are missing."""
        if self.ended or owner != self._owner or attempt != self._attempt:
            return False
        if seq != self._next_seq:
            self._raise_gap(seq)
        return True

    def set_usage(self, usage: Usage) -> None:
        """Note the last attempt's usage; earlier attempts' tokens are added."""
        total = self._earlier_tokens + usage.completion_tokens
        self.usage = Usage(usage.prompt_tokens, total, usage.cached_tokens)
        self._tell(entries.Counted(self.usage))

    def end(self, ended: Ended, *, at: float) -> None:
        """Close the stream; the first end counts."""
        if self.ended is None:
            self.ended = ended
            self.ended_at = at
            self._owner = None
            self._wake()
            self._tell(entries.Closed(ended, at))

    # -- written down, and made again ----------------------------------------------------------

    def whole(self) -> entries.Whole:
        """Return all of it as one entry."""
        return entries.Whole(
            self.job_id,
            self.request,
            self.submitted_at,
            self.text,
            completion_tokens=self.completion_tokens,
            earlier_tokens=self._earlier_tokens,
            attempt=self._attempt,
            next_seq=self._next_seq,
            owner=self._owner,
            fingerprint=self._fingerprint,
            token_ids=None if self._token_ids is None else list(self._token_ids),
            started=self.started,
            place=self._position if isinstance(self._position, Waiting) else None,
            usage=self.usage,
            ended=self.ended,
            ended_at=self.ended_at,
        )

    @singledispatchmethod
    def apply(self, entry: JournalEntry) -> None:
        """Let happen here what happened to the same job's stream elsewhere.

        Readers see no character twice. Raises JournalGapError when some are missing in between.
        """
        raise TypeError(type(entry))

    @apply.register
    def _(self, entry: entries.Whole) -> None:
        if len(entry.text) < len(self.text):
            return
        self.submitted_at, self.text = entry.submitted_at, entry.text
        self.has_told_text = bool(entry.text)
        self.completion_tokens, self._earlier_tokens = entry.completion_tokens, entry.earlier_tokens
        self._attempt, self._next_seq = entry.attempt, entry.next_seq
        self._owner, self._fingerprint = entry.owner, entry.fingerprint
        self._token_ids = None if entry.token_ids is None else list(entry.token_ids)
        self.started, self._position = entry.started, entry.place or entry.started
        self.usage, self.ended, self.ended_at = entry.usage, entry.ended, entry.ended_at
        self._wake()

    @apply.register
    def _(self, entry: entries.Begun) -> None:
        self.begin_attempt(entry.started, owner=entry.owner, fingerprint=entry.fingerprint)

    @apply.register
    def _(self, entry: entries.Grew) -> None:
        self._grow(entry)

    @apply.register
    def _(self, entry: entries.Resumed) -> None:
        self.resume_attempt(entry.owner)

    @apply.register
    def _(self, entry: entries.Detached) -> None:
        self.detach()

    @apply.register
    def _(self, entry: entries.Placed) -> None:
        self.set_place(entry.place)

    @apply.register
    def _(self, entry: entries.Counted) -> None:
        self.usage = entry.usage

    @apply.register
    def _(self, entry: entries.Closed) -> None:
        self.end(entry.ended, at=entry.at)

    def move_away(self) -> None:
        """Send the readers elsewhere: from now on another process writes the stream."""
        self.is_moved = True
        self._owner = None
        self._wake()

    def _raise_gap(self, seq: int) -> None:
        detail = f"job {self.job_id}: chunk {seq} came where {self._next_seq} was due"
        raise WireError(WireRule.CHUNK_GAP, detail)

    def _check_size(self, chunk: Chunk) -> None:
        size, tokens = len(self.text) + len(chunk.text), self.completion_tokens + chunk.tokens
        if size > MAX_ANSWER_CHARS or tokens > MAX_ANSWER_TOKENS:
            detail = f"job {self.job_id}: the answer is over {MAX_ANSWER_CHARS} characters"
            detail += f" or {MAX_ANSWER_TOKENS} tokens"
            raise WireError(WireRule.INVALID_FRAME, detail)

    def _grow(self, grew: entries.Grew) -> None:
        had = len(self.text)
        if grew.offset > had:
            raise JournalGapError(self.job_id, had=had, offset=grew.offset)
        if grew.offset < had or grew.token_ids is None:
            self._token_ids = None
        elif self._token_ids is not None:
            self._token_ids.extend(grew.token_ids)
        self._next_seq = grew.next_seq
        self.completion_tokens = max(grew.completion_tokens, self.completion_tokens)
        if text := grew.text[had - grew.offset :]:
            self.text += text
            self._wake()

    def _tell(self, entry: JournalEntry) -> None:
        if self.told is not None:
            self.told(entry)

    def _wake(self) -> None:
        events = self._changed, self._moved_up
        self._changed, self._moved_up = asyncio.Event(), asyncio.Event()
        for event in events:
            event.set()


def stream_from(written: Iterable[JournalEntry]) -> JobStream | None:
    """Make a stream of what was written down of it; None when it does not begin with the whole.

    Raises JournalGapError when text is missing in between.
    """
    stream: JobStream | None = None
    for entry in written:
        if stream is None:
            if not isinstance(entry, entries.Whole):
                return None
            stream = JobStream(entry.job_id, entry.request, submitted_at=entry.submitted_at)
        stream.apply(entry)
    return stream
