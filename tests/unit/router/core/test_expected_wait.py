"""The wait that readers are told follows from what was measured."""

from apps.router.core import effects, events
from apps.router.core.values import Health
from tests.unit.router.core.test_step import Table, of_kind


def answer(table: Table, job_id: str, session: str, took_s: float) -> None:
    table.submit(job_id)
    table.now += took_s
    table.do(events.JobProgressed(job_id, 1, 10))
    table.do(events.AttemptDone(session, job_id, 1, "stop", 10, 10))


def told(table: Table, job_id: str) -> effects.ShowPlace:
    [place] = of_kind(table.submit(job_id), effects.ShowPlace)
    assert isinstance(place, effects.ShowPlace)
    return place


def test_nothing_is_promised_before_anything_was_measured() -> None:
    table = Table()
    table.join("a")
    table.submit("j1")
    assert told(table, "j2").expected_wait_s is None


def test_each_place_waits_for_one_slot_to_come_free() -> None:
    table = Table()
    table.join("a")
    answer(table, "learn", "a", took_s=4.0)
    table.submit("busy")
    waits = [told(table, f"j{number}").expected_wait_s for number in range(3)]
    assert waits == [4.0, 8.0, 12.0]


def test_ejected_instance_shortens_no_wait() -> None:
    table = Table()
    table.join("a")
    answer(table, "learn", "a", took_s=4.0)
    table.submit("busy")
    table.join("b", slots=9)
    record = table.state.instances["b"].record
    record.health, record.ejected_until = Health.EJECTED, table.now + 60
    assert told(table, "j1").expected_wait_s == 4.0
