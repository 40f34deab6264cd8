"""Files of recorded events: what a line holds, and what is left out of it. Pure.

The first line holds the router's whole state, each further one an event with its time, or what
the router decided upon the event before.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import msgspec
from msgspec import Struct

from apps.router.core import events
from apps.router.core.effects import Effect, RecordAttemptEnd, RecordDecision
from apps.router.core.settings import CoreSettings
from apps.router.core.state import RouterState, state_decode
from apps.router.core.values import AttemptEnded, Decision
from apps.router.records.errors import UnreadableEventsError

FORMAT: Final = 1
# What this version reads: its own format, and the one before where there is one. A field that is
# added with a default, and a new kind of event, are no new format; anything else is.
READ_FORMATS: Final = (FORMAT,)

AnyEvent = (
    events.InstanceJoined
    | events.InstanceChanged
    | events.InstanceHeard
    | events.HeartbeatReceived
    | events.InstanceDraining
    | events.LinkBroken
    | events.JobSubmitted
    | events.JobCancelled
    | events.RequesterLeft
    | events.JobProgressed
    | events.TokensCounted
    | events.AttemptDone
    | events.AttemptFailed
    | events.AttemptLost
    | events.ModelsKnown
    | events.CatalogChanged
    | events.TimePassed
)


class Header(Struct, frozen=True, kw_only=True):
    """A file's first line. `run`: one router's life; its files are counted from 0.

    `at` is on the clock of the events, seconds; `snapshot` the state as `core.state` writes it.
    """

    format: int
    run: str
    number: int
    begun_at: datetime
    at: float
    rule: str
    seed: int
    settings: CoreSettings
    snapshot: msgspec.Raw


class Line(Struct, frozen=True, omit_defaults=True):
    """One of the further lines: an event at its time, or what followed from the last one."""

    at: float | None = None
    event: AnyEvent | None = None
    decision: Decision | None = None
    ended: AttemptEnded | None = None


@dataclass(slots=True)
class Segment:
    """A file that was read. `cut_line`: the last one's number if it was written in part only."""

    name: str
    header: Header
    lines: list[Line]
    cut_line: int | None = None


_headers: Final = msgspec.json.Decoder(Header)
_lines: Final = msgspec.json.Decoder(Line)


def read_segment(name: str, lines: Iterable[bytes]) -> Segment:
    """Read a file. Raises UnreadableEventsError.

    A last line without its end is what a router that was killed had no time for: it is left out.
    """
    rest: Iterator[bytes] = iter(lines)
    try:
        header = _headers.decode(next(rest, b""))
    except msgspec.DecodeError as error:
        detail = f"this is not the beginning of recorded events ({error})"
        raise UnreadableEventsError(name, 1, detail) from error
    if header.format not in READ_FORMATS:
        known = " and ".join(map(str, READ_FORMATS))
        detail = f"format {header.format} is not known to this version, only {known}"
        raise UnreadableEventsError(name, 1, detail)
    segment = Segment(name, header, [])
    for number, line in enumerate(rest, start=2):
        if not line.endswith(b"\n"):
            segment.cut_line = number
            break
        try:
            segment.lines.append(_lines.decode(line))
        except msgspec.DecodeError as error:
            raise UnreadableEventsError(name, number, f"it can't be read ({error})") from error
    return segment


def first_state(segment: Segment) -> RouterState:
    """Return the state that a file begins with. Raises UnreadableEventsError."""
    try:
        return state_decode(bytes(segment.header.snapshot))
    except (msgspec.DecodeError, KeyError) as error:
        detail = f"the router's state is not one of this version ({error})"
        raise UnreadableEventsError(segment.name, 1, detail) from error


def event_line(event: events.Event, at: float) -> Line:
    """Return the line of an event, without what an instance said in words."""
    if isinstance(event, events.AttemptFailed):
        event = msgspec.structs.replace(event, message="")
    return Line(at=at, event=event)  # type: ignore[arg-type]  # a union of all kinds of events


def effect_lines(effects: Iterable[Effect]) -> Iterator[Line]:
    """Yield what is recorded of that which followed."""
    for effect in effects:
        if isinstance(effect, RecordDecision):
            yield Line(decision=effect.decision)
        elif isinstance(effect, RecordAttemptEnd):
            yield Line(ended=effect.ended)


def is_known_model(name: str | None, state: RouterState) -> bool:
    """Whether a model's name is more than what somebody typed."""
    return (
        name is None
        or state.is_known(name)
        or name in state.aliases
        or name in state.forbidden_models
    )
