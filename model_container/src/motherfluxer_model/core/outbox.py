"""What one attempt still has to say: pieces joined to chunks, kept until acknowledged. Pure.

    pieces --add--> pending --take--> chunks [first_seq .. unsent_from .. next_seq) --ack--> gone

Text waits in `pending` without a number, so that everything that comes up while the link is busy,
or broken, is joined. A number, once given, stays with its text for good.
"""

from collections import deque
from itertools import islice
from typing import Final

from motherfluxer_model.core.answer import Ending, Finished, Piece
from motherfluxer_wire.frames import Chunk, Done, Failed, ResumeOffer

PACE_S: Final = 0.02  # the protocol: at most about 50 chunks a second per job
MAX_CHUNK_CHARS: Final = 16_384


class JobOutbox:
    """The unacknowledged part of one attempt's answer."""

    def __init__(self, job: str, attempt: int) -> None:
        self.job = job
        self.attempt = attempt
        self.ending: Ending | None = None
        self.next_seq = 0
        self.held_chars = 0
        self.ended_at: float | None = None
        self.confirmed_at: float | None = None
        self._pending: list[Piece] = []
        self._chunks: deque[Chunk] = deque()
        self._first_seq = 0
        self._unsent_from = 0
        self._is_ending_sent = False
        self._sent_at: float | None = None

    @property
    def is_running(self) -> bool:
        """Whether more text may come."""
        return self.ending is None

    @property
    def is_flushed(self) -> bool:
        """Whether everything known so far, the end included, has been handed to the link."""
        return (
            not self._pending
            and self._unsent_from == self.next_seq
            and (self.ending is None or self._is_ending_sent)
        )

    def add(self, piece: Piece) -> None:
        """Take in a piece of the answer."""
        self._pending.append(piece)
        self.held_chars += len(piece.text)

    def end(self, ending: Ending, now_s: float) -> None:
        """Take in the attempt's end; the first one stays."""
        if self.ending is None:
            self.ending = ending
            self.ended_at = now_s

    def due_at(self) -> float | None:
        """Say from when on `take` has something to send: None: nothing is waiting.

        The first text and the end go out at once, what lies between at the pace of the protocol.
        """
        if self.is_flushed:
            return None
        is_urgent = (
            self._sent_at is None or self.ending is not None or self._unsent_from < self.next_seq
        )
        return 0.0 if is_urgent else (self._sent_at or 0.0) + PACE_S

    def take(self, now_s: float) -> list[Chunk | Done | Failed]:
        """Number what is pending and give every frame that was not handed over yet."""
        self._number_pending()
        skip = self._unsent_from - self._first_seq
        frames: list[Chunk | Done | Failed] = list(islice(self._chunks, skip, None))
        self._unsent_from = self.next_seq
        if self.ending is not None and not self._is_ending_sent:
            frames.append(self._ending_frame(self.ending))
            self._is_ending_sent = True
        if frames:
            self._sent_at = now_s
        return frames

    def acknowledge(self, seq: int, now_s: float) -> None:
        """Forget the chunks below `seq`."""
        while self._chunks and self._first_seq < min(seq, self._unsent_from):
            self.held_chars -= len(self._chunks.popleft().text)
            self._first_seq += 1
        if self._is_ending_sent and seq >= self.next_seq and self.confirmed_at is None:
            self.confirmed_at = now_s

    def offer(self) -> ResumeOffer:
        """Describe this attempt for `hello.resume`."""
        state = "running" if self.is_running else "ended"
        return ResumeOffer(job=self.job, attempt=self.attempt, next_seq=self.next_seq, state=state)

    def rewind(self, from_seq: int) -> bool:
        """Make everything from `from_seq` unsent again; False: it is not here."""
        if not self._first_seq <= from_seq <= self.next_seq:
            return False
        self._unsent_from = from_seq
        self._is_ending_sent = False
        self.confirmed_at = None
        return True

    def restart_at(self, seq: int) -> None:
        """Count on from `seq` with nothing held: for an attempt whose chunks are gone."""
        self.next_seq = self._first_seq = self._unsent_from = seq

    def _number_pending(self) -> None:
        group: list[Piece] = []
        chars = 0
        for piece in self._pending:
            if group and chars + len(piece.text) > MAX_CHUNK_CHARS:
                self._number(group)
                group, chars = [], 0
            group.append(piece)
            chars += len(piece.text)
        if group:
            self._number(group)
        self._pending.clear()

    def _number(self, group: list[Piece]) -> None:
        ids: list[int] | None = []
        for piece in group:
            ids = None if ids is None or piece.token_ids is None else [*ids, *piece.token_ids]
        chunk = Chunk(
            job=self.job,
            attempt=self.attempt,
            seq=self.next_seq,
            text="".join(piece.text for piece in group),
            tokens=sum(piece.tokens for piece in group),
            token_ids=ids,
        )
        self._chunks.append(chunk)
        self.next_seq += 1

    def _ending_frame(self, ending: Ending) -> Done | Failed:
        if isinstance(ending, Finished):
            return Done(
                job=self.job,
                attempt=self.attempt,
                seq=self.next_seq,
                finish_reason=ending.reason,
                usage=ending.usage,
                timings=ending.timings,
            )
        return Failed(
            job=self.job,
            attempt=self.attempt,
            seq=self.next_seq,
            code=ending.code,
            message=ending.message,
            retryable=ending.retryable,
        )
