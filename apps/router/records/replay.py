"""Making recorded decisions once more: a fresh core, the recorded events, the same decisions. Pure.

Nothing here looks at a clock: the events carry their times, and the snapshot carries the rest.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import zip_longest

from apps.router.core.events import Event
from apps.router.core.state import RouterState
from apps.router.core.step import step
from apps.router.core.values import AttemptEnded, Decision
from apps.router.records.segments import Line, Segment, effect_lines, first_state

Outcome = Decision | AttemptEnded


@dataclass(frozen=True, slots=True)
class Difference:
    """Where a replay went another way: what stands in the record, and what came instead."""

    name: str
    line: int
    recorded: Outcome | None
    replayed: Outcome | None

    @property
    def words(self) -> str:
        """Both in a few words."""
        then, now = _words(self.recorded), _words(self.replayed)
        fields = _changed_fields(self.recorded, self.replayed)
        told = f" ({', '.join(fields)} differ)" if fields else ""
        return f"{self.name}, line {self.line}: recorded {then}, now {now}{told}"


@dataclass(slots=True)
class Reproduced:
    """How much of the record came out the same.

    `first` is the first difference; `notes` tell of events that the core could not take.
    """

    events: int = 0
    decisions: int = 0
    same_decisions: int = 0
    ends: int = 0
    same_ends: int = 0
    lasted_s: float = 0.0
    first: Difference | None = None
    notes: list[str] = field(default_factory=list)


def replay(segment: Segment, done: Reproduced, tell: Callable[[int], None]) -> None:
    """Step a fresh core over a segment and add to `done`; `tell` hears of the events so far.

    After a difference the record is no longer that of this core, so it ends there.
    """
    state = first_state(segment)
    expected: list[tuple[int, Line]] = []
    came: list[Line] = []
    at = segment.header.at
    for number, line in enumerate(segment.lines, start=2):
        if line.event is None or line.at is None:
            expected.append((number, line))
            continue
        if not _compare(segment, expected, came, number - 1, done):
            return
        at, expected = line.at, []
        came = _step(state, line.event, at, f"{segment.name}, line {number}", done)
        done.events += 1
        tell(done.events)
    # What followed from the last event may be cut off.
    _compare(segment, expected, came[: len(expected)], len(segment.lines) + 1, done)
    done.lasted_s += at - segment.header.at


def _step(state: RouterState, event: Event, at: float, where: str, done: Reproduced) -> list[Line]:
    try:
        return list(effect_lines(step(state, event, at)))
    except Exception as error:  # noqa: BLE001 - a bug of the core: live it went on after it
        done.notes.append(f"{where}: the core failed with {type(error).__name__}: {error}")
        return []


def _compare(
    segment: Segment,
    expected: list[tuple[int, Line]],
    came: list[Line],
    last_line: int,
    done: Reproduced,
) -> bool:
    """Count what is the same; False at the first difference."""
    for kept, made in zip_longest(expected, came):
        number, line = kept or (last_line, None)
        recorded, replayed = _outcome(line), _outcome(made)
        is_same = recorded == replayed
        if isinstance(recorded or replayed, Decision):
            done.decisions += recorded is not None
            done.same_decisions += is_same
        else:
            done.ends += recorded is not None
            done.same_ends += is_same
        if not is_same:
            done.first = done.first or Difference(segment.name, number, recorded, replayed)
            return False
    return True


def _outcome(line: Line | None) -> Outcome | None:
    return (line.decision or line.ended) if line else None


def _words(outcome: Outcome | None) -> str:
    if outcome is None:
        return "nothing"
    job = f"job {outcome.job_id}, attempt {outcome.attempt}"
    if isinstance(outcome, Decision):
        return f"that {outcome.winner} gets {job}, by {outcome.rule}"
    return f"that {job} ends as {outcome.outcome}"


def _changed_fields(one: Outcome | None, other: Outcome | None) -> list[str]:
    if one is None or other is None or type(one) is not type(other):
        return []
    names = type(one).__struct_fields__
    return [name for name in names if getattr(one, name) != getattr(other, name)]
