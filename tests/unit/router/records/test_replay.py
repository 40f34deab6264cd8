"""Recorded events make the same decisions again, and hold nobody's name or words."""

import asyncio
import os
from pathlib import Path

import msgspec
import pytest

from apps.router import conf
from apps.router.core import events
from apps.router.live import event_recorder
from apps.router.live.event_recorder import EventRecorder
from apps.router.records.errors import UnreadableEventsError
from apps.router.records.event_files import EventFiles
from apps.router.records.replay import Reproduced, replay
from apps.router.records.segments import AnyEvent, Line, Segment, read_segment
from tests.unit.router.records.driver import USERS, Driver


def record(folder: Path, lasts_s: float, seed: int = 1) -> Driver:
    """Drive a router for a while and record it."""
    driver = Driver(seed)
    recorder = EventRecorder(EventFiles(folder, kept_h=1), driver.service.state)
    driver.service.recorder = recorder
    driver.run(lasts_s)
    asyncio.run(recorder.flush())
    return driver


def segments(folder: Path) -> list[Segment]:
    """Read all files of a folder."""
    paths = sorted(folder.glob("*.jsonl"))
    return [read_segment(path.name, path.read_bytes().splitlines(keepends=True)) for path in paths]


def replayed(*read: Segment) -> Reproduced:
    done = Reproduced()
    for segment in read:
        replay(segment, done, lambda count: None)
    return done


def test_every_kind_of_event_can_be_recorded() -> None:
    assert set(AnyEvent.__args__) == set(events.Event.__subclasses__())


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_decision_is_made_again(tmp_path: Path, seed: int) -> None:
    driver = record(tmp_path, 600, seed)
    done = replayed(*segments(tmp_path))
    assert done.first is None
    assert done.decisions == done.same_decisions == len(driver.made_decisions) > 300
    assert done.ends == done.same_ends > 300


def test_files_that_follow_each_other_can_be_replayed_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        event_recorder, "CONF", conf.RecordsConf(events_segment_s=60.0, events_segment_bytes=10**9)
    )
    driver = record(tmp_path, 590)
    read = segments(tmp_path)
    assert len(read) == 10
    assert len({segment.header.run for segment in read}) == 1
    assert sum(replayed(segment).same_decisions for segment in read) == len(driver.made_decisions)


def test_files_hold_no_requester_and_no_words(tmp_path: Path) -> None:
    driver = record(tmp_path, 300)
    [path] = tmp_path.glob("*.jsonl")
    text = path.read_text()
    assert all(user not in text for user in USERS)
    assert "secret words" not in text
    assert "J\\u00f6rg" not in text
    # The core itself was told no name either, so that no snapshot can hold one.
    assert not any(job.requester in USERS for job in driver.service.state.jobs.values())
    assert path.stat().st_mode & 0o077 == 0


def test_other_core_is_noticed_at_its_first_other_decision(tmp_path: Path) -> None:
    record(tmp_path, 120)
    [segment] = segments(tmp_path)
    at = next(n for n, line in enumerate(segment.lines) if line.event and "i3" in repr(line.event))
    del segment.lines[at]
    first = replayed(segment).first
    assert first is not None
    assert "recorded that Name" in first.words


def test_file_cut_off_by_a_kill_is_replayed_as_far_as_it_goes(tmp_path: Path) -> None:
    record(tmp_path, 120)
    [path] = tmp_path.glob("*.jsonl")
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    for cut in (1, 100, len(lines[-1]), len(lines[-1]) + 1, 5_000):
        segment = read_segment("cut", whole[:-cut].splitlines(keepends=True))
        assert (segment.cut_line is None) == whole[:-cut].endswith(b"\n")
        done = replayed(segment)
        assert done.first is None
        assert done.same_decisions == done.decisions > 50


def test_what_is_no_record_is_refused_by_name() -> None:
    with pytest.raises(UnreadableEventsError, match=r"x\.jsonl, line 1: this is not the beginning"):
        read_segment("x.jsonl", [b"hello\n"])
    with pytest.raises(UnreadableEventsError, match="line 1"):
        read_segment("x.jsonl", [])


def test_broken_line_in_the_middle_is_named(tmp_path: Path) -> None:
    record(tmp_path, 10)
    [path] = tmp_path.glob("*.jsonl")
    lines = path.read_bytes().splitlines(keepends=True)
    lines[4] = b"{}}\n"
    with pytest.raises(UnreadableEventsError, match="line 5"):
        read_segment("x", lines)
    lines[0] = lines[0].replace(b'"format":1', b'"format":9')
    with pytest.raises(UnreadableEventsError, match="format 9"):
        read_segment("x", lines)


def test_state_of_another_version_is_refused_by_name(tmp_path: Path) -> None:
    record(tmp_path, 10)
    [segment] = segments(tmp_path)
    header = msgspec.structs.replace(segment.header, snapshot=msgspec.Raw(b'{"jobs":[]}'))
    with pytest.raises(UnreadableEventsError, match="not one of this version"):
        replayed(Segment("x", header, segment.lines))


def test_event_that_the_core_can_not_take_is_noted(tmp_path: Path) -> None:
    record(tmp_path, 60)
    [segment] = segments(tmp_path)
    strange = events.InstanceChanged("s", None, 1)  # type: ignore[arg-type]
    joined = next(
        line.event for line in segment.lines if isinstance(line.event, events.InstanceJoined)
    )
    strange = msgspec.structs.replace(strange, session=joined.session)
    segment.lines.append(Line(at=1e9, event=strange))
    done = replayed(segment)
    assert done.first is None
    assert len(done.notes) == 1
    assert "the core failed with TypeError" in done.notes[0]


def test_a_disk_that_fails_costs_records_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "events"
    folder.write_text("not a folder")
    driver = record(folder, 30)
    assert driver.made_decisions
    folder.unlink()
    driver.run(30)
    recorder = driver.service.recorder
    assert isinstance(recorder, EventRecorder)
    asyncio.run(recorder.flush())
    done = replayed(*segments(folder))
    assert done.first is None
    assert done.same_decisions > 10


def test_files_past_their_time_or_size_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record(tmp_path, 20)
    [first] = tmp_path.glob("*.jsonl")
    old = tmp_path / "events-20200101T000000-abc-0000.jsonl"
    first.rename(old)
    record(tmp_path, 20)
    assert old.exists()
    os.utime(old, (0, 0))
    record(tmp_path, 20)
    assert not old.exists()
    assert len(list(tmp_path.glob("*.jsonl"))) == 2


async def test_cancelled_while_writing_each_line_stands_once(tmp_path: Path) -> None:
    driver = Driver(5)
    recorder = EventRecorder(EventFiles(tmp_path, kept_h=1), driver.service.state)
    driver.service.recorder = recorder
    running = asyncio.create_task(recorder.run())
    for _ in range(3):
        driver.run(30)
        flushing = asyncio.create_task(recorder.flush())
        await asyncio.sleep(0)
        flushing.cancel()
    running.cancel()
    await recorder.flush()
    done = replayed(*segments(tmp_path))
    assert done.first is None
    assert done.same_decisions == len(driver.made_decisions)
