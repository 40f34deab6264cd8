"""`manage.py replay` on files of the live router, and on files that are none."""

import asyncio
import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from apps.router.core import events
from apps.router.core.values import ServedModel, ServiceClass
from apps.router.live.runtime import running_router
from tests.unit.router.records.test_replay import record


def replay(*arguments: str | Path) -> str:
    out = StringIO()
    call_command("replay", *(str(one) for one in arguments), stdout=out)
    return out.getvalue()


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("events")
    record(folder, 300)
    [path] = folder.glob("*.jsonl")
    return path


def test_every_decision_is_reproduced(recorded: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    told = replay(recorded, "--json", out)
    count = json.loads(out.read_text())["decisions"]
    assert f"{count} of {count} decisions reproduced." in told
    assert count > 100


def test_first_difference_is_told_with_status_one(recorded: Path, tmp_path: Path) -> None:
    lines = recorded.read_text().splitlines(keepends=True)
    number = next(n for n, line in enumerate(lines) if line.startswith('{"decision"') and n > 500)
    lines[number] = lines[number].replace('"waited_s":', '"waited_s":1', 1)
    other = tmp_path / "other.jsonl"
    other.write_text("".join(lines))
    with pytest.raises(CommandError) as caught:
        replay(other)
    assert f"other.jsonl, line {number + 1}" in str(caught.value)
    assert "waited_s differ" in str(caught.value)


def test_line_that_a_kill_cut_off_is_noted(recorded: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.jsonl"
    cut.write_bytes(recorded.read_bytes()[:-7])
    told = replay(cut)
    assert "cut.jsonl ends within line" in told
    assert "decisions reproduced" in told


def test_what_if_shows_both_sides(recorded: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    told = replay(recorded, "--rule", "random", "--set", "ageing_s=30", "--json", out)
    assert "What if ageing_s = 30.0, rule = random?" in told
    assert "would have gone elsewhere" in told
    assert "Name i0" in told
    figures = json.loads(out.read_text())
    assert figures["recorded"]["given"] > 100
    assert figures["elsewhere"] > 0
    assert set(figures["would_be"]["by_instance"]) == {f"Name i{n}" for n in range(6)}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--rule", "best"], "no rule 'best'"),
        (["--set", "agein_s=1"], "no such setting"),
        (["--set", "ageing_s"], "NAME=VALUE"),
    ],
)
def test_nonsense_is_refused_by_name(recorded: Path, arguments: list[str], words: str) -> None:
    with pytest.raises(CommandError, match=words):
        replay(recorded, *arguments)


def test_file_that_is_no_record_is_refused_by_name(tmp_path: Path) -> None:
    other = tmp_path / "other.jsonl"
    other.write_text("hello\n")
    with pytest.raises(CommandError, match="not the beginning of recorded events"):
        replay(other)
    with pytest.raises(CommandError, match="can't be read"):
        replay(tmp_path / "none.jsonl")


@pytest.mark.django_db(transaction=True)
async def test_live_router_records_what_it_was_given(tmp_path: Path, settings: Any) -> None:
    settings.VAR_DIR = tmp_path
    async with running_router() as live:
        live.service.handle(events.InstanceJoined("s", "i", "One", (ServedModel("m", 99, 9),), 1))
        live.service.handle(events.JobSubmitted("j", "user:17", ServiceClass.REGISTERED, "m"))
        live.service.handle(events.AttemptDone("s", "j", 1, "stop"))
    [path] = await asyncio.to_thread(lambda: list((tmp_path / "events").glob("*.jsonl")))
    told = await asyncio.to_thread(replay, path)
    assert "1 of 1 decisions reproduced." in told
    assert "1 of 1 ends of attempts reproduced." in told
    assert "user:17" not in await asyncio.to_thread(path.read_text)
    assert path.parent.stat().st_mode & 0o077 == 0
