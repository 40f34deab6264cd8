"""Simulated instances: how long a machine takes for what it is given. Pure.

All jobs on a machine get on at the same pace, 1 / (1 + crowding x (jobs - 1)), so one clock of
work a machine is enough: a job's first token and its end are points on that clock.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf
from random import Random
from typing import Final

REGIONS: Final = {"near": 0.005, "middle": 0.060, "far": 0.150}
"""Three regions by their round trip in seconds."""

CONTEXT_TOKENS: Final = 4096
HELD_CONVERSATIONS_PER_SLOT: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What somebody's computer can do; speeds of a single job in tokens a second."""

    name: str
    slots: int
    prefill_tokens_per_s: float
    decode_tokens_per_s: float
    crowding: float
    region: str = "near"

    def __post_init__(self) -> None:
        """Refuse what would end in a division by zero. Raises ValueError."""
        if self.slots < 1:
            raise ValueError("slots: at least 1")
        for name in ("prefill_tokens_per_s", "decode_tokens_per_s"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name}: more than 0")
        if not self.crowding >= 0:
            raise ValueError("crowding: at least 0")
        if self.region not in REGIONS:
            raise ValueError(f"region: one of {', '.join(REGIONS)}")

    @property
    def rtt_s(self) -> float:
        """The round trip to it."""
        return REGIONS[self.region]

    def jobs_per_s(self, prompt_tokens: float, answer_tokens: float) -> float:
        """Return how many such jobs it ends a second with all slots in use."""
        alone_s = prompt_tokens / self.prefill_tokens_per_s
        alone_s += answer_tokens / self.decode_tokens_per_s
        return self.slots / (alone_s * (1 + self.crowding * (self.slots - 1)))


def fleet_of(count: int, *, kind: str, seed: int) -> list[Machine]:
    """Make a fleet: "same" machines, or "mixed" home hardware over a 20-fold range of speed."""
    draws = Random(seed)
    if kind == "same":
        return [
            Machine(
                name=f"same-{n}",
                slots=4,
                prefill_tokens_per_s=800,
                decode_tokens_per_s=30,
                crowding=0.2,
            )
            for n in range(count)
        ]
    return [_mixed(n, draws) for n in range(count)]


def _mixed(number: int, draws: Random) -> Machine:
    decode = 4 * 20 ** draws.random()
    # Whoever has a fast machine runs an engine that batches, and gives it more slots.
    slots = draws.choice([1, 1, 2, 2, 4] if decode < 16 else [2, 4, 4, 8, 16])
    crowding = draws.uniform(0.3, 0.8) if slots <= 2 else draws.uniform(0.05, 0.2)
    return Machine(
        name=f"home-{number}",
        slots=slots,
        prefill_tokens_per_s=decode * draws.uniform(20, 40),
        decode_tokens_per_s=decode,
        crowding=crowding,
        region=draws.choice(list(REGIONS)),
    )


@dataclass(slots=True)
class Work:
    """One attempt on a machine, on the machine's clock of work."""

    job_id: str
    attempt: int
    conversation: str
    total_tokens: int
    cached_tokens: int
    first_at: float
    done_at: float
    answer_tokens: int
    has_begun: bool = False


@dataclass(slots=True)
class Engine:
    """A machine at work. `factor` 0.2: five times slower; 0: it does nothing at all."""

    machine: Machine
    clock: float = 0.0
    clock_read_at: float = 0.0
    factor: float = 1.0
    works: dict[str, Work] = field(default_factory=dict)
    held: dict[str, int] = field(default_factory=dict)
    version: int = 0

    def pace(self) -> float:
        """Return how many seconds of work each job gets a second."""
        return self.factor / (1 + self.machine.crowding * max(0, len(self.works) - 1))

    def advance(self, now: float) -> None:
        """Bring the clock of work up to now; call before anything changes."""
        self.clock += (now - self.clock_read_at) * self.pace()
        self.clock_read_at = now

    def start(
        self,
        job_id: str,
        attempt: int,
        *,
        prompt_tokens: int,
        answer_tokens: int,
        conversation: str,
        extra_s: float,
        now: float,
    ) -> None:
        """Begin an attempt; `extra_s` is work before it, such as loading the weights."""
        self.advance(now)
        machine = self.machine
        cached = min(self.held.get(conversation, 0), prompt_tokens) if conversation else 0
        reading_s = extra_s + (prompt_tokens - cached) / machine.prefill_tokens_per_s
        first_at = self.clock + reading_s + 1 / machine.decode_tokens_per_s
        done_at = first_at + (answer_tokens - 1) / machine.decode_tokens_per_s
        total = prompt_tokens + answer_tokens
        self.works[job_id] = Work(
            job_id, attempt, conversation, total, cached, first_at, done_at, answer_tokens
        )

    def stop(self, job_id: str, now: float) -> Work | None:
        """Take an attempt off the machine."""
        self.advance(now)
        return self.works.pop(job_id, None)

    def end(self, work: Work) -> None:
        """Complete an attempt; its conversation is held for the next turn."""
        del self.works[work.job_id]
        if work.conversation:
            self.held.pop(work.conversation, None)
            self.held[work.conversation] = work.total_tokens
            while len(self.held) > HELD_CONVERSATIONS_PER_SLOT * self.machine.slots:
                del self.held[next(iter(self.held))]

    def tokens_of(self, work: Work) -> int:
        """Return how many tokens an attempt has written by the clock."""
        if self.clock < work.first_at - 1e-9:
            return 0
        since = (self.clock - work.first_at) * self.machine.decode_tokens_per_s
        return min(work.answer_tokens, 1 + int(since + 1e-6))

    def next_at(self) -> float:
        """Return when the next first token or end comes, if nothing changes."""
        pace = self.pace()
        if not self.works or pace <= 0:
            return inf
        point = min(
            work.done_at if work.has_begun else work.first_at for work in self.works.values()
        )
        return self.clock_read_at + max(0.0, point - self.clock) / pace


def capacity(machines: Sequence[Machine], prompt_tokens: float, answer_tokens: float) -> float:
    """Return how many such jobs a second a fleet ends with all slots in use."""
    return sum(machine.jobs_per_s(prompt_tokens, answer_tokens) for machine in machines)
