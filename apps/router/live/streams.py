"""A job's stream: the one place where its answer's text grows, and from where readers take it.

A reader holds an offset into the text, counted in characters. So a slow reader costs nothing and
blocks nobody, and one that comes back with its last offset gets exactly what it missed.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Final

from apps.router.errors import JobError, JobMovedError
from motherfluxer_wire.errors import WireError, WireRule
from motherfluxer_wire.fields import ServiceClass
from motherfluxer_wire.frames import Chunk, Message, Sampling, Usage

# An instance is not trusted to stop: the prefix of a next attempt must fit a frame.
MAX_ANSWER_CHARS: Final = 128 * 1024
MAX_ANSWER_TOKENS: Final = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRequest:
    """What somebody asks for. `model_name` None: the default, or else any.

    `beginning`: the answer begins with this text, and only an instance that can continue gets it.
    `requester` is the fairness key ("user:7", "visitor:…"). A job that may not wait for an
    instance is refused at once when none that serves its model is connected. `keeper_note`: what
    the asking app needs, to keep the answer from another process on.
    """

    messages: tuple[Message, ...]
    requester: str
    service_class: ServiceClass
    request_id: str
    sampling: Sampling = field(default_factory=Sampling)
    model_name: str | None = None
    may_wait_for_instance: bool = True
    beginning: str = ""
    keeper_note: str = ""

    @property
    def chars(self) -> int:
        """How many characters an instance has to read."""
        return len(self.beginning) + sum(len(message.content) for message in self.messages)


@dataclass(frozen=True, slots=True)
class Waiting:
    """The job stands in the queue: `place` of `waiting`, the first place being 1.

    `expected_wait_s` is None before the router has measured how fast it gets on.
    """

    place: int
    waiting: int
    instances_online: int
    expected_wait_s: float | None = None


@dataclass(frozen=True, slots=True)
class Started:
    """An instance has the job."""

    instance_name: str
    model_name: str
    attempt: int


@dataclass(frozen=True, slots=True)
class Piece:
    """More of the answer; `offset` is that of the character after it."""

    text: str
    offset: int


@dataclass(frozen=True, slots=True)
class Ended:
    """Nothing more will come. `finish_reason`: "stop", "length" or "cancelled"; None on error."""

    finish_reason: str | None
    error: JobError | None = None


StreamEvent = Waiting | Started | Piece | Ended


class JobStream:
    """One job's answer as it grows. Written by the gateway, read by any number of readers."""

    def __init__(self, job_id: str, request: JobRequest, *, submitted_at: float) -> None:
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

    async def wait_ended(self) -> Ended:
        """Wait for the end. Raises JobMovedError when it comes at another process."""
        while self.ended is None:
            if self.is_moved:
                raise JobMovedError
            await self._changed.wait()
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

    def detach(self) -> None:
        """Take the stream from its link; the attempt may be taken up again by `resume_attempt`."""
        self._owner = None

    def can_resume(self, *, attempt: int, next_seq: int) -> bool:
        """Whether an instance that offers this attempt holds everything from here on."""
        return self.ended is None and attempt == self._attempt and next_seq >= self._next_seq

    def resume_attempt(self, owner: str) -> None:
        """Give the same attempt to its instance's new link."""
        self._owner = owner
        self._position = self.started
        self._wake()

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
        self._next_seq += 1
        self.completion_tokens += chunk.tokens
        self._check_size(chunk)
        self._remember_ids(chunk)
        if chunk.text:
            self.text += chunk.text
            self._wake()
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

    def end(self, ended: Ended, *, at: float) -> None:
        """Close the stream; the first end counts."""
        if self.ended is None:
            self.ended = ended
            self.ended_at = at
            self._owner = None
            self._wake()

    def move_away(self) -> None:
        """Send the readers elsewhere: from now on another process writes the stream."""
        self.is_moved = True
        self._owner = None
        self._wake()

    def _raise_gap(self, seq: int) -> None:
        detail = f"job {self.job_id}: chunk {seq} came where {self._next_seq} was due"
        raise WireError(WireRule.CHUNK_GAP, detail)

    def _check_size(self, chunk: Chunk) -> None:
        size = len(self.text) + len(chunk.text)
        if size > MAX_ANSWER_CHARS or self.completion_tokens > MAX_ANSWER_TOKENS:
            detail = f"job {self.job_id}: the answer is over {MAX_ANSWER_CHARS} characters"
            detail += f" or {MAX_ANSWER_TOKENS} tokens"
            raise WireError(WireRule.INVALID_FRAME, detail)

    def _remember_ids(self, chunk: Chunk) -> None:
        if self._token_ids is None:
            return
        if chunk.token_ids is None or len(chunk.token_ids) != chunk.tokens:
            self._token_ids = None
        else:
            self._token_ids.extend(chunk.token_ids)

    def _wake(self) -> None:
        events = self._changed, self._moved_up
        self._changed, self._moved_up = asyncio.Event(), asyncio.Event()
        for event in events:
            event.set()
