"""Files that older versions wrote are read, or refused in words."""

import gzip
import re
from pathlib import Path

import msgspec
import pytest

from apps.router.records.errors import UnreadableEventsError
from apps.router.records.replay import Reproduced, replay
from apps.router.records.segments import FORMAT, READ_FORMATS, Segment, first_state, read_segment
from apps.router.records.stretches import stretches_of, would_be

GOLDEN = Path(__file__).parent / "golden"
FILES = sorted(GOLDEN.glob("events-format-*.jsonl.gz"))


def lines_of(path: Path) -> list[bytes]:
    return gzip.decompress(path.read_bytes()).splitlines(keepends=True)


def golden(number: int) -> list[bytes]:
    return lines_of(GOLDEN / f"events-format-{number}.jsonl.gz")


def read(lines: list[bytes]) -> Segment:
    return read_segment("old.jsonl", lines)


def told(_: int) -> None:
    """Hear of progress."""


def test_every_format_that_is_read_has_its_golden_file() -> None:
    assert set(READ_FORMATS) <= {int(str(re.findall(r"\d+", path.name)[0])) for path in FILES}
    assert FORMAT in READ_FORMATS
    assert len(READ_FORMATS) <= 2


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_golden_file_is_read_whole_or_refused_in_words(path: Path) -> None:
    lines = lines_of(path)
    if int(str(re.findall(r"\d+", path.name)[0])) not in READ_FORMATS:
        with pytest.raises(UnreadableEventsError, match="is not known to this version"):
            read(lines)
        return
    segment = read(lines)
    state = first_state(segment)
    assert state.records, "a golden file begins in the middle of a router's life"
    done = Reproduced()
    replay(segment, done, told)
    assert not done.notes
    assert done.events > 100
    assert done.decisions > 5


@pytest.mark.parametrize("number", READ_FORMATS)
def test_golden_file_answers_what_would_be(number: int) -> None:
    other = would_be(stretches_of([read(golden(number))]), {"rule": "random"}, told)
    assert other.recorded.given > 5


def test_field_of_a_later_version_is_left_out() -> None:
    lines = golden(FORMAT)
    at = next(n for n, line in enumerate(lines) if b'"JobSubmitted"' in line)
    before = read(lines).lines[at - 1]
    lines[at] = lines[at].replace(b'{"type":', b'{"colour":"red","type":', 1)
    assert b"colour" in lines[at]
    assert read(lines).lines[at - 1] == before


def test_kind_of_event_of_a_later_version_is_refused_by_its_line() -> None:
    lines = golden(FORMAT)
    lines[6] = b'{"at":1.0,"event":{"type":"InstancePainted","session":"s"}}\n'
    with pytest.raises(UnreadableEventsError, match=r"line 7: .*InstancePainted"):
        read(lines)


def test_format_of_a_later_version_is_refused_by_its_number() -> None:
    lines = golden(FORMAT)
    header = msgspec.json.decode(lines[0])
    lines[0] = msgspec.json.encode({**header, "format": FORMAT + 1}) + b"\n"
    words = rf"line 1: format {FORMAT + 1} is not known to this version, only {FORMAT}\."
    with pytest.raises(UnreadableEventsError, match=words):
        read(lines)
