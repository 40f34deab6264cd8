"""The wait that readers are told follows from what was measured."""

from typing import Any

from apps.router.core import effects, events
from apps.router.core.values import Health, ServedModel, ServiceClass
from tests.unit.router.core.test_step import TINY, Table, of_kind

OTHER = ServedModel(name="other", context_tokens=1024, max_output_tokens=512)


def answer(table: Table, job_id: str, session: str, took_s: float) -> None:
    table.submit(job_id)
    table.now += took_s
    table.do(events.JobProgressed(job_id, 1, 10))
    table.do(events.AttemptDone(session, job_id, 1, "stop", 10, 10))


def told(table: Table, job_id: str, **options: Any) -> effects.ShowPlace:
    [place] = of_kind(table.submit(job_id, **options), effects.ShowPlace)
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


def two_models(*models_of_b: ServedModel) -> Table:
    """Return a table where "a" serves tiny and "b" other models, both busy, three waiting for b."""
    table = Table()
    table.join("a")
    answer(table, "learn", "a", took_s=4.0)
    table.submit("busy", model_name="tiny")
    table.do(events.InstanceJoined("b", "b", "b", models_of_b, slots=1))
    for number in range(4):
        table.submit(f"other{number}", who=ServiceClass.REGISTERED, model_name="other")
    return table


def test_jobs_for_other_instances_make_no_wait_longer() -> None:
    found = told(two_models(OTHER), "j1", who=ServiceClass.REGISTERED, model_name="tiny")
    assert (found.place, found.expected_wait_s) == (4, 4.0)


def test_jobs_that_the_same_instances_may_have_to_serve_make_it_longer() -> None:
    found = told(two_models(OTHER, TINY), "j1", who=ServiceClass.REGISTERED, model_name="tiny")
    assert (found.place, found.expected_wait_s) == (4, 8.0)


def test_who_asked_for_any_model_waits_for_all_before() -> None:
    table = two_models(OTHER)
    assert told(table, "j1", who=ServiceClass.REGISTERED).expected_wait_s == 16.0


def test_all_are_told_the_same_as_who_has_just_come() -> None:
    table = two_models(OTHER)
    registered = ServiceClass.REGISTERED
    table.submit("j1", who=registered, model_name="tiny")
    second = told(table, "j2", who=registered, model_name="tiny")
    table.now += 1
    shown = of_kind(table.do(events.TimePassed()), effects.ShowPlace)
    assert effects.ShowPlace("j1", 4, 5, 1, 4.0) in shown
    assert second == effects.ShowPlace("j2", 5, 5, 1, 8.0)
    assert second not in shown
