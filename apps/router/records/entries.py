"""What the public log says: of decisions and of attempts' ends, without content, without user.

A field leaves the site only if it is named here.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec
from msgspec import Struct

from apps.router.core.values import AttemptEnded, Decision


class PublicCandidate(Struct, frozen=True, kw_only=True):
    """An instance as a decision saw it; `core.values.Candidate` explains the figures."""

    name: str
    health: str
    open_jobs: int
    slots: int
    last_assigned: int
    recent_failures: float
    first_token_s: float | None
    token_s: float | None
    held_tokens: int
    score: float | None
    ruled_out: str | None


class PublicDecision(Struct, frozen=True, kw_only=True):
    """Why an instance got a job; `core.values.Decision` explains the figures.

    `winner_index` is the winner's place in `candidates`, counted from 0, since two operators
    may give their instances the same name; None if a large fleet's list left it out.
    """

    job_id: str
    attempt: int
    waited_s: float
    rule: str
    asked_model: str | None
    model_name: str
    revision: str
    service_class: str
    prompt_tokens: int
    candidates: tuple[PublicCandidate, ...]
    unlisted: int
    winner: str
    winner_index: int | None
    is_fail_open: bool


class PublicEnd(Struct, frozen=True, kw_only=True):
    """How an attempt ended."""

    job_id: str
    attempt: int
    instance_name: str
    outcome: str
    tokens: int


class Entry(Struct, frozen=True, kw_only=True, tag_field="kind"):
    """One entry of the log; 0 as long as it has no sequence number."""

    made_at: datetime
    sequence: int = 0

    @property
    def job_id(self) -> str:
        """The job that it is about, or "" if it is about none."""
        return ""

    @property
    def attempt(self) -> int:
        """Which of the job's attempts it is about, or 0 if it is about none."""
        return 0


class DecisionEntry(Entry, frozen=True, kw_only=True, tag="decision"):
    """An instance got a job."""

    decision: PublicDecision

    @property
    def job_id(self) -> str:
        """The job that was decided about."""
        return self.decision.job_id

    @property
    def attempt(self) -> int:
        """The attempt that was begun."""
        return self.decision.attempt


class EndedEntry(Entry, frozen=True, kw_only=True, tag="ended"):
    """An attempt ended."""

    ended: PublicEnd

    @property
    def job_id(self) -> str:
        """The job whose attempt ended."""
        return self.ended.job_id

    @property
    def attempt(self) -> int:
        """The attempt that ended."""
        return self.ended.attempt


class LostEntry(Entry, frozen=True, kw_only=True, tag="lost"):
    """So many entries could not be written here."""

    lost: int


AnyEntry = DecisionEntry | EndedEntry | LostEntry


@dataclass(frozen=True, slots=True)
class Recorded:
    """What the router said and when; the public entry is made of it away from the event loop."""

    made_at: datetime
    what: Decision | AttemptEnded

    @classmethod
    def now(cls, what: Decision | AttemptEnded) -> "Recorded":
        """Return what the router says at this moment."""
        return cls(datetime.now(UTC), what)

    @classmethod
    def by_its_clock(cls, what: Decision | AttemptEnded) -> "Recorded":
        """Return what a router said, by Redis' clock: the same, whichever router says it."""
        return cls(datetime.fromtimestamp(what.at, UTC), what)


@dataclass(frozen=True, slots=True)
class Gap:
    """So many found no room among those that wait to be written."""

    made_at: datetime
    count: int


def entry_of(recorded: Recorded | Gap) -> AnyEntry:
    """Return what the public may know."""
    if isinstance(recorded, Gap):
        return LostEntry(made_at=recorded.made_at, lost=recorded.count)
    if isinstance(recorded.what, Decision):
        return DecisionEntry(made_at=recorded.made_at, decision=_public_decision(recorded.what))
    public = msgspec.convert(msgspec.to_builtins(recorded.what), PublicEnd)
    return EndedEntry(made_at=recorded.made_at, ended=public)


def kind_of(entry: AnyEntry) -> str:
    """Return the entry's kind: "decision", "ended" or "lost"."""
    return str(type(entry).__struct_config__.tag)


def _public_decision(decision: Decision) -> PublicDecision:
    sessions = [candidate.session for candidate in decision.candidates]
    figures = msgspec.to_builtins(decision)
    is_listed = decision.winner_session in sessions
    figures["winner_index"] = sessions.index(decision.winner_session) if is_listed else None
    return msgspec.convert(figures, PublicDecision)  # leaves out what is not named there
