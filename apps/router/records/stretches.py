"""Files that follow each other as one stretch of time, and what would have been in it. Pure."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, get_type_hints

import msgspec

from apps.router.core.selection.rules import rule_named
from apps.router.core.settings import CoreSettings
from apps.router.records.comparison import Comparison, compare
from apps.router.records.errors import UnknownSettingError
from apps.router.records.history import History
from apps.router.records.segments import Line, Segment, first_state
from apps.router.records.what_if import WhatIf


@dataclass(slots=True)
class Stretch:
    """One router's life, or an uninterrupted part of it."""

    first: Segment
    settings: CoreSettings
    lines: list[Line]


def stretches_of(segments: Iterable[Segment]) -> list[Stretch]:
    """Join files that follow each other, whatever order they were named in."""
    stretches: list[Stretch] = []
    last: Segment | None = None
    for segment in sorted(segments, key=lambda one: (one.header.begun_at, one.header.number)):
        header = segment.header
        if last and (last.header.run, last.header.number + 1) == (header.run, header.number):
            stretches[-1].lines += segment.lines
        else:
            whole = Stretch(segment, header.settings, list(segment.lines))
            stretches.append(whole)
        last = segment
    return stretches


def changed_settings(settings: CoreSettings, changes: dict[str, str]) -> CoreSettings:
    """Read values from text. Raises UnknownSettingError, UnknownRuleError."""
    hints = get_type_hints(CoreSettings)
    names = [one.name for one in fields(CoreSettings)]
    values: dict[str, Any] = {}
    for name, text in changes.items():
        if name not in names:
            raise UnknownSettingError(name, f"there is no such setting, only {', '.join(names)}")
        try:
            values[name] = _read(text, hints[name])
        except msgspec.MsgspecError as error:
            raise UnknownSettingError(name, f"{text!r} is no value for it ({error})") from error
    if "rule" in values:
        values["rule"] = str(values["rule"]).partition("/")[0]
        rule_named(values["rule"])
    return replace(settings, **values)


def would_be(
    stretches: Sequence[Stretch], changes: dict[str, str], tell: Callable[[int], None]
) -> Comparison:
    """Tell what would have been. Raises UnknownSettingError, UnknownRuleError."""
    recorded: list[History] = []
    others: list[History] = []
    for stretch in stretches:
        was = History(first_state(stretch.first))
        was.add(stretch.lines)
        recorded.append(was)
        state = first_state(stretch.first)
        state.settings = changed_settings(stretch.settings, changes)
        other = History(state)
        other.add(WhatIf(state, was, stretch.lines).run(tell))
        others.append(other)
    return compare(recorded, others)


def _read(text: str, kind: Any) -> Any:
    """Read a setting's value: a plain one as it stands, a table as JSON."""
    if kind is str:
        return text
    if kind in (int, float):
        return msgspec.convert(text, kind, strict=False)
    return msgspec.json.decode(text, type=kind)
