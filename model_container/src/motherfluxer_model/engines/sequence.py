"""One running answer: what to feed the model next, and what its output means.

waiting prompt --feed--> prefill --first token--> decoding --> ended
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

import torch

from motherfluxer_model.core.answer import Finished, Piece
from motherfluxer_model.core.text import AnswerText
from motherfluxer_wire.fields import FinishReason
from motherfluxer_wire.frames import Timings, Usage

PREFILL_TOKENS: Final = 1024  # a longer prompt goes in by parts, so that siblings are not held up


class State(Protocol):
    """What the model keeps of one answer between two steps."""


class Runner(Protocol):
    """Runs the model."""

    def begin(self) -> State:
        """Make the state of a new answer."""

    def forward(self, state: State, ids: list[int]) -> torch.Tensor:
        """Feed tokens; give the row of logits for what comes next."""


class Choose(Protocol):
    """Chooses tokens; see `Sampler`."""

    def choose(self, logits: torch.Tensor) -> int:
        """Choose the next token."""


@dataclass(slots=True)
class Ticket:
    """Who the answer is for, and whether it is still wanted."""

    job: str
    attempt: int
    is_cancelled: bool = False


Deliver = Callable[[Piece | Finished | Exception], None]


@dataclass(slots=True)
class Sequence:
    """A running answer; every method is called by the engine's thread."""

    ticket: Ticket
    prompt_tokens: int
    todo: list[int]  # what the model has not been fed yet
    room: int  # how many tokens the answer may still take
    end_ids: frozenset[int]
    sampler: Choose
    text: AnswerText
    deliver: Deliver
    submitted_s: float = field(default_factory=time.monotonic)
    is_ended: bool = False
    _state: State | None = None
    _started_s: float = 0.0
    _first_token_s: float = 0.0

    def step(self, runner: Runner) -> None:
        """Feed the model once; deliver what comes of it."""
        if self.ticket.is_cancelled:
            self._end("cancelled")
            return
        if self.room <= 0:
            self._end("length")
            return
        if self._state is None:
            self._state, self._started_s = runner.begin(), time.monotonic()
        part, self.todo = self.todo[:PREFILL_TOKENS], self.todo[PREFILL_TOKENS:]
        logits = runner.forward(self._state, part)
        if not self.todo:
            self._take(self.sampler.choose(logits))

    def _take(self, token: int) -> None:
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

    def _end(self, reason: FinishReason, *, is_flushed: bool = False) -> None:
        piece = None if is_flushed else self.text.finish()
        if piece is not None:
            self.deliver(piece)
        self.is_ended = True
        self._state = None
        usage = Usage(prompt_tokens=self.prompt_tokens, completion_tokens=self.text.told_tokens)
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
