"""The kept decision log: written in order, whoever writes; verified; removed when old."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from io import StringIO
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection
from django.db.models import F
from django.test import AsyncClient

from apps.router import conf
from apps.router.core.values import Decision
from apps.router.live import log_writer
from apps.router.live.log_writer import LogWriter
from apps.router.live.runtime import LiveRouter, running_router
from apps.router.models import LogChain, LogEntry
from apps.router.records import services
from apps.router.records.chain import Place
from apps.router.records.entries import Gap, Recorded
from apps.router.records.selectors import log_lines
from tests.unit.router.records.samples import BEGUN, decision, ended, recorded

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
async def router() -> AsyncIterator[LiveRouter]:
    async with running_router() as live:
        yield live


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> conf.RecordsConf:
    """Let little wait, and nobody wait for long."""
    small = replace(conf.CONF, log_waiting_count=3, log_write_every_s=0.01, log_retry_s=0.01)
    monkeypatch.setattr(log_writer, "CONF", small)
    return small


def verify(*arguments: str) -> str:
    out = StringIO()
    call_command("verify_log", *arguments, stdout=out)
    return out.getvalue()


def fault(*arguments: str) -> str:
    with pytest.raises(CommandError) as caught:
        verify(*arguments)
    return str(caught.value)


async def body_of(client: AsyncClient, path: str) -> bytes:
    response: Any = await client.get(path)
    return b"".join([part async for part in response.streaming_content])


def test_whole_log_is_verified() -> None:
    assert verify() == "0 entries: the log is empty.\n"
    services.log_append(recorded=recorded(2))
    last = services.log_append(recorded=recorded(1))
    told = verify()
    assert "8 entries verified, 1 to 8." in told
    assert last.hash in told


def test_every_column_counts() -> None:
    services.log_append(recorded=recorded(2))
    row = LogEntry.objects.get(sequence=3)
    later = row.made_at + timedelta(microseconds=1)
    changes = {"body": row.body.replace("0.125", "0.126"), "hash": "0" * 64, "made_at": later}
    for column, value in {**changes, "previous_hash": "0" * 64, "job_id": "j", "kind": "x"}.items():
        LogEntry.objects.filter(sequence=3).update(**{column: value})
        assert "Entry 3" in fault()
        assert "is changed" in fault()
        row.save()
        assert "5 entries" in verify()


def test_removed_swapped_and_cut_off_entries_are_named() -> None:
    services.log_append(recorded=recorded(2))
    kept = list(LogEntry.objects.all())
    LogEntry.objects.filter(sequence=2).delete()
    assert fault().startswith("Entry 2 is missing")
    LogEntry.objects.filter(sequence__gte=4).delete()
    kept[1].save()
    assert fault().startswith("Entry 4 is missing")
    LogEntry.objects.all().delete()
    assert fault().startswith("Entry 1 is missing")
    for row in kept:
        row.save()
    LogEntry.objects.filter(sequence__in=[2, 3]).update(sequence=F("sequence") + 100)
    LogEntry.objects.filter(sequence=103).update(sequence=2)
    LogEntry.objects.filter(sequence=102).update(sequence=3)
    assert "Entry 3 (job job-1) is out of order" in fault()


def test_last_entry_written_anew_does_not_fit_what_was_noted() -> None:
    services.log_append(recorded=recorded(1))
    noted = LogChain.objects.get()
    LogEntry.objects.filter(sequence=3).delete()
    LogChain.objects.update(last_sequence=2, last_hash=LogEntry.objects.get(sequence=2).hash)
    services.log_append(recorded=recorded(1)[:1])
    assert "3 entries" in verify()
    LogChain.objects.update(last_sequence=3, last_hash=noted.last_hash)
    assert fault().startswith("Entry 3 is changed")


def test_old_entries_go_and_the_rest_still_verifies() -> None:
    services.log_append(recorded=recorded(4))  # one second between two jobs, the gap at the first's
    after_second = BEGUN + timedelta(days=conf.CONF.log_kept_days, seconds=1, milliseconds=1)
    assert services.log_remove_old(now=after_second) == 4
    assert "5 entries verified, 5 to 9." in verify()
    assert services.log_remove_old(now=after_second) == 0
    LogEntry.objects.filter(sequence=5).delete()
    assert fault().startswith("Entry 5 is missing")
    services.log_remove_old(now=after_second + timedelta(days=1))
    assert verify() == "0 entries: the log is empty.\n"
    services.log_append(recorded=recorded(1))
    assert "3 entries verified, 10 to 12." in verify()


def test_writers_at_once_write_one_after_the_other() -> None:
    def write(number: int) -> None:
        try:
            for _ in range(5):
                services.log_append(recorded=recorded(2))
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    assert "100 entries verified, 1 to 100." in verify()


async def test_what_waits_is_written_when_the_router_stops() -> None:
    async with running_router() as live:
        for number in range(1200):
            live.gateway.decisions.add(decision(f"job-{number}"))
    told = await asyncio.to_thread(verify)
    assert "1200 entries verified, 1 to 1200." in told
    first = await LogEntry.objects.aget(sequence=1)
    assert first.job_id == "job-0"


class Database:
    """Stands between the writer and the database, which may be away."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._append = services.log_append
        self.is_away = False
        self.tried, self.written = Event(), Event()
        monkeypatch.setattr(services, "log_append", self.log_append)

    def log_append(self, *, recorded: Sequence[Recorded | Gap], is_shared: bool) -> Place:
        """Write, unless it is away."""
        self.tried.set()
        if self.is_away:
            raise DatabaseError("away")
        place = self._append(recorded=recorded, is_shared=is_shared)
        self.written.set()
        return place


async def test_stopped_while_writing_nothing_is_written_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    database, writer = Database(monkeypatch), LogWriter()
    running = asyncio.create_task(writer.run())
    for number in range(1200):
        writer.put(Recorded(BEGUN, ended(f"job-{number}")))
    await asyncio.to_thread(database.tried.wait)
    running.cancel()
    await writer.flush()
    assert "1200 entries" in await asyncio.to_thread(verify)


async def test_entries_survive_a_database_that_was_away_and_a_gap_is_said(
    few: conf.RecordsConf, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    database, writer = Database(monkeypatch), LogWriter()
    database.is_away = True
    running = asyncio.create_task(writer.run())
    for number in range(8):
        writer.put(Recorded(BEGUN, decision(f"job-{number}")))
    await asyncio.to_thread(database.tried.wait)
    database.is_away = False
    await asyncio.to_thread(database.written.wait)
    await writer.flush()
    writer.put(Recorded(BEGUN, ended("job-7")))
    running.cancel()
    await writer.flush()
    bodies = [json.loads(row.body) async for row in LogEntry.objects.all()]
    assert [body["kind"] for body in bodies] == ["decision"] * 3 + ["lost", "ended"]
    assert bodies[3]["lost"] == 5
    assert "too many decisions wait" in caplog.text
    assert "decisions are written again" in caplog.text


async def test_log_is_read_by_anybody_and_verified_elsewhere(
    router: LiveRouter, tmp_path: Path
) -> None:
    await asyncio.to_thread(services.log_append, recorded=recorded(300))
    client = AsyncClient()
    log = tmp_path / "log.jsonl"
    log.write_bytes(await body_of(client, "/transparency/log.jsonl"))
    assert "601 entries verified, 1 to 601." in await asyncio.to_thread(verify, str(log))
    line = await body_of(client, "/transparency/log.jsonl?after=599&limit=1")
    assert json.loads(json.loads(line)["body"])["sequence"] == 600
    assert (await client.get("/transparency/log.jsonl?after=x")).status_code == 400
    assert (await client.get("/transparency/log.jsonl?after=-1")).status_code == 400
    assert "log.jsonl" in (await client.get("/transparency")).content.decode()


async def test_decisions_of_an_earlier_run_are_still_shown(router: LiveRouter) -> None:
    made: list[Decision] = [decision("old", 1), decision("old", 2)]
    kept = [Recorded(BEGUN, made[0]), Recorded(BEGUN, ended("old", 1)), Recorded(BEGUN, made[1])]
    await asyncio.to_thread(services.log_append, recorded=kept)
    client = AsyncClient()
    told = json.loads((await client.get("/transparency/decisions/old.json")).content)
    assert [attempt["attempt"] for attempt in told["attempts"]] == [1, 2]
    assert told["attempts"][0]["ended"]["outcome"] == "done"
    assert told["attempts"][1]["ended"] is None
    assert [row["is_winner"] for row in told["attempts"][0]["table"]] == [True, False]
    page = (await client.get("/transparency/decisions/old")).content.decode()
    assert page.count("chosen") == 2
    assert "the answer was complete" in page
    assert "/transparency/decisions/old" in (await client.get("/transparency")).content.decode()


def test_file_with_one_changed_byte_ends_with_status_one(tmp_path: Path) -> None:
    services.log_append(recorded=recorded(2))
    log = tmp_path / "log.jsonl"
    whole = b"".join(log_lines(after=0, count=10)[0])
    log.write_bytes(whole.replace(b"job-1", b"job-2", 1))
    assert fault(str(log)).startswith("Entry 3 (job job-2) is changed")
    assert "can't be read" in fault(str(tmp_path / "none"))
