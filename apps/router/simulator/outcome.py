"""What a simulation gives: what became of each request, and what was seen on the way. Pure."""

from dataclasses import dataclass, field

from apps.router.simulator.traffic import Request


@dataclass(slots=True)
class JobRun:
    """What became of one request; times in seconds of the simulation."""

    request: Request
    submitted_at: float
    first_at: float | None = None
    ended_at: float | None = None
    has_answer: bool = False
    refusal: str = ""
    attempts: int = 0
    given_tokens: int = 0
    cached_tokens: int = 0


@dataclass(slots=True)
class Outcome:
    """All that a simulation gives."""

    jobs: list[JobRun] = field(default_factory=list)
    lasted_s: float = 0.0
    decision_s: list[float] = field(default_factory=list)
    eject_s: list[float] = field(default_factory=list)
    readmit_s: list[float] = field(default_factory=list)
    decisions: int = 0
