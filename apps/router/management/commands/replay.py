"""Makes every recorded decision again, or tells what would have been under other rules."""

import sys
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any, Final

import msgspec
from django.core.management.base import BaseCommand, CommandError

from apps.router.core.errors import UnknownRuleError
from apps.router.records.comparison import Comparison, Side
from apps.router.records.errors import RecordError
from apps.router.records.replay import Reproduced, replay
from apps.router.records.segments import Segment, read_segment
from apps.router.records.stretches import changed_settings, stretches_of, would_be

_TELL_AFTER_S: Final = 1.0


class Command(BaseCommand):
    """Steps a fresh core over recorded events."""

    help = (
        "Replay recorded events (var/events/*.jsonl): every decision must come out the same. "
        "With another rule or setting: tell what would have been."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take files, and what to change."""
        parser.add_argument("files", metavar="FILE", nargs="+", type=Path)
        parser.add_argument("--rule", metavar="NAME", help="choose by another rule")
        parser.add_argument(
            "--set", metavar="NAME=VALUE", action="append", default=[], help="change a setting"
        )
        parser.add_argument("--json", metavar="OUT", type=Path, help="write the figures there too")

    def handle(self, *args: Any, **options: Any) -> None:
        """Replay and tell."""
        began = time.monotonic()
        progress = Progress()
        try:
            segments = [_read(path) for path in options["files"]]
            for segment in segments:
                if segment.cut_line:
                    self.stdout.write(f"{segment.name} ends within line {segment.cut_line}.")
            if options["rule"] or options["set"]:
                changes = dict(_pair(text) for text in options["set"])
                if options["rule"]:
                    changes["rule"] = options["rule"]
                found: Any = self._what_if(segments, changes, progress)
            else:
                found = self._reproduce(segments, progress)
        except (RecordError, UnknownRuleError) as error:
            raise CommandError(str(error)) from error
        finally:
            progress.end()
        if options["json"]:
            options["json"].write_bytes(msgspec.json.format(msgspec.json.encode(found)) + b"\n")
        self.stdout.write(f"Took {time.monotonic() - began:.1f} s.")
        if isinstance(found, Reproduced) and found.first:
            raise CommandError(f"The first difference: {found.first.words}.")

    def _reproduce(self, segments: list[Segment], progress: "Progress") -> Reproduced:
        done = Reproduced()
        for segment in segments:
            replay(segment, done, progress.tell)
        progress.end()
        for note in done.notes:
            self.stdout.write(note)
        self.stdout.write(f"{done.events:,} events over {_span(done.lasted_s)}.")
        self.stdout.write(f"{done.same_decisions} of {done.decisions} decisions reproduced.")
        self.stdout.write(f"{done.same_ends} of {done.ends} ends of attempts reproduced.")
        return done

    def _what_if(
        self, segments: list[Segment], changes: dict[str, str], progress: "Progress"
    ) -> Comparison:
        stretches = stretches_of(segments)
        settings = changed_settings(stretches[0].settings, changes)
        told = ", ".join(f"{name} = {getattr(settings, name)}" for name in changes)
        compared = would_be(stretches, changes, progress.tell)
        progress.end()
        self.stdout.write(f"What if {told}?\n")
        for line in _table(compared):
            self.stdout.write(line)
        return compared


class Progress:
    """One line on standard error that says how far it is, once it takes longer."""

    def __init__(self) -> None:
        self._told_at = time.monotonic()
        self._is_shown = False
        self._every_s = _TELL_AFTER_S if sys.stderr.isatty() else 10 * _TELL_AFTER_S

    def tell(self, count: int) -> None:
        """Say so many events are done."""
        if (
            not count
            or count % 256
            or time.monotonic() - self._told_at
            < (self._every_s if self._is_shown else _TELL_AFTER_S)
        ):
            return
        self._told_at, self._is_shown = time.monotonic(), True
        end = "\r" if sys.stderr.isatty() else "\n"
        sys.stderr.write(f"{count:,} events …{end}")
        sys.stderr.flush()

    def end(self) -> None:
        """Leave the line to others."""
        if self._is_shown and sys.stderr.isatty():
            sys.stderr.write("\x1b[2K\r")
        self._is_shown = False


def _read(path: Path) -> Segment:
    try:
        with path.open("rb") as file:
            return read_segment(path.name, file)
    except OSError as error:
        raise CommandError(f"{path} can't be read: {error.strerror}.") from error


def _pair(text: str) -> tuple[str, str]:
    name, mark, value = text.partition("=")
    if not mark:
        raise CommandError(f"--set takes NAME=VALUE, not {text!r}.")
    return name.strip(), value.strip()


def _span(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02} h"


def _table(compared: Comparison) -> list[str]:
    then, now = compared.recorded, compared.would_be
    share = compared.elsewhere / compared.common if compared.common else 0.0
    lines = [
        f"{compared.elsewhere} of {compared.common} jobs would have gone elsewhere ({share:.1%}).",
        "",
        f"{'':<28}{'recorded':>12}{'would be':>12}",
    ]
    lines += [f"{words:<28}{_show(then, name):>12}{_show(now, name):>12}" for words, name in _ROWS]
    lines += ["", f"{'jobs by first instance':<28}{'recorded':>12}{'would be':>12}"]
    for name in sorted({*then.by_instance, *now.by_instance}):
        counts = (side.by_instance.get(name, 0) for side in (then, now))
        lines.append(f"{name[:27]:<28}" + "".join(f"{count:>12}" for count in counts))
    return lines


_ROWS: Final = (
    ("jobs given to an instance", "given"),
    ("answered", "answered"),
    ("further attempts", "further_attempts"),
    ("waited, p50", "waited_p50_s"),
    ("waited, p95", "waited_p95_s"),
    ("first token after, p50", "first_token_p50_s"),
    ("first token after, p95", "first_token_p95_s"),
)


def _show(side: Side, name: str) -> str:
    value = getattr(side, name)
    return f"{value:.2f} s" if name.endswith("_s") else str(value)
