"""One running answer: what to feed the model next, and what its output means.

waiting prompt --opened--> prefill --first token--> decoding --> ended
"""

import time
from collections.abc import Callable
from collections.abc import Sequence as Many
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch

from motherfluxer_model.core.answer import Finished, Piece
from motherfluxer_model.core.text import AnswerText
from motherfluxer_model.engines.sampling import Sampler
from motherfluxer_wire.fields import FinishReason
from motherfluxer_wire.frames import Timings, Usage


@dataclass(frozen=True, slots=True)
class Feed:
    """Tokens for one answer in one step; `state` is what the runner gave for it."""

    state: Any
    ids: list[int]


class Runner(Protocol):
    """Runs the model; `is_joint`: one step over several answers at a time, else one by one."""

    is_joint: bool

    def open(self, ids: Many[int]) -> tuple[Any, int]:
        """Begin an answer that reads `ids` first; give its state and how many it knows already."""

    def step(self, feeds: Many[Feed]) -> torch.Tensor:
        """Feed tokens; give for each feed the row of logits after its last token, as float32.

        When a joint one raises, every state is as before, and each feed may be tried by itself.
        """

    def close(self, state: Any, *, is_sound: bool) -> None:
        """End an answer; `is_sound`: what was computed for it may serve another."""


@dataclass(slots=True)
class Ticket:
    """Who the answer is for, and whether it is still wanted."""

    job: str
    attempt: int
    is_cancelled: bool = False


Deliver = Callable[[Piece | Finished | Exception], None]


@dataclass(slots=True, eq=False)
class Sequence:
    """A running answer; every method is called by the engine's thread."""

    ticket: Ticket
    prompt_tokens: int
    todo: list[int]  # what the model has not been fed yet
    room: int  # how many tokens the answer may still take
    end_ids: frozenset[int]
    sampler: Sampler
    text: AnswerText
    deliver: Deliver
    submitted_s: float = field(default_factory=time.monotonic)
    dropped_messages: int = 0
    is_ended: bool = False
    is_failed: bool = False
    state: Any = None
    cached_tokens: int = 0
    _started_s: float = 0.0
    _first_token_s: float = 0.0

    @property
    def is_decoding(self) -> bool:
        """Whether somebody reads it already: its next token must not wait long."""
        return self._first_token_s > 0

    def open(self, runner: Runner) -> None:
        """Take a place in the runner, with what is computed already."""
        self._started_s = time.monotonic()
        self.state, known_count = runner.open(self.todo)
        self.todo = self.todo[known_count:]
        self.cached_tokens = min(known_count, self.prompt_tokens)

    def is_over(self) -> bool:
        """End an answer that needs no step any more: cancelled, or nothing may come."""
        if self.ticket.is_cancelled:
            self._end("cancelled")
        elif self.room <= 0:
            self._end("length")
        return self.is_ended

    def fed(self, count: int) -> bool:
        """Note that so many were taken; tells whether the next token can be chosen now."""
        self.todo = self.todo[count:]
        return not self.todo

    def take(self, token: int) -> None:
        """Take in the token that was chosen; deliver what comes of it."""
        self._first_token_s = self._first_token_s or time.monotonic()
        if token in self.end_ids:
            self._end("stop")
            return
        self.room -= 1
        piece = self.text.push(token)
        if piece is not None:
            self.deliver(piece)
        if self.text.is_stopped:
            self._end("stop", is_flushed=True)
        elif self.room <= 0:
            self._end("length")
        else:
            self.todo = [token]

    def fail(self, error: Exception) -> None:
        """End it badly."""
        self.is_ended = self.is_failed = True
        self.deliver(error)

    def _end(self, reason: FinishReason, *, is_flushed: bool = False) -> None:
        piece = None if is_flushed else self.text.finish()
        if piece is not None:
            self.deliver(piece)
        self.is_ended = True
        usage = Usage(
            prompt_tokens=self.prompt_tokens,
            completion_tokens=self.text.told_tokens,
            cached_tokens=self.cached_tokens,
            dropped_messages=self.dropped_messages or None,
        )
        self.deliver(Finished(reason, usage, self._timings()))

    def _timings(self) -> Timings:
        now_s = time.monotonic()
        started_s = self._started_s or now_s
        first_s = self._first_token_s or now_s
        return Timings(
            queue_ms=_ms(started_s - self.submitted_s),
            prefill_ms=_ms(first_s - started_s),
            decode_ms=_ms(now_s - first_s),
        )


def _ms(seconds: float) -> float:
    return round(max(0.0, seconds) * 1000, 1)
