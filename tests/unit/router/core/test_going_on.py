"""An answer that has begun goes only to instances that can go on with it, or ends in time."""

from msgspec.structs import replace

from apps.router.core import effects, events
from apps.router.core.effects import Effect
from apps.router.core.values import FailureCode, Refusal
from tests.unit.router.core.test_step import TINY, Table, assigned, of_kind

BEGINNER = replace(TINY, can_continue=False)


def refusals(found: list[Effect]) -> list[tuple[str, Refusal]]:
    return [(e.job_id, e.refusal) for e in found if isinstance(e, effects.RefuseJob)]


def later(table: Table, seconds: float) -> list[Effect]:
    """Let time pass while every instance is heard."""
    found: list[Effect] = []
    end = table.now + seconds
    while table.now < end:
        table.now += 0.5
        for session in table.state.instances:
            table.do(events.InstanceHeard(session))
        found += table.do(events.TimePassed())
    return found


def test_begun_answer_goes_to_an_instance_that_can_continue() -> None:
    table = Table()
    table.join("beginner", model=BEGINNER)
    table.join("continuer")
    assert assigned(table.submit("j1", has_text=True)) == [("j1", "continuer", 1)]


def test_begun_answer_that_names_its_model_goes_to_one_that_can_continue_too() -> None:
    table = Table()
    table.join("beginner", model=BEGINNER)
    table.join("continuer")
    found = table.submit("j1", has_text=True, model_name=TINY.name)
    assert assigned(found) == [("j1", "continuer", 1)]


def test_begun_answer_is_refused_at_once_where_all_can_only_begin() -> None:
    table = Table()
    table.join("beginner", model=BEGINNER)
    assert refusals(table.submit("j1", has_text=True)) == [("j1", Refusal.INSTANCES_FAILED)]
    assert not table.state.jobs


def test_begun_answer_waits_while_nobody_is_connected() -> None:
    table = Table()
    assert not refusals(table.submit("j1", has_text=True))
    assert not refusals(later(table, 60))
    assert assigned(table.join("a")) == [("j1", "a", 1)]


def test_interrupted_answer_waits_a_moment_for_its_instance_then_ends() -> None:
    table = Table()
    table.join("beginner", model=BEGINNER, slots=4)
    table.join("continuer")
    table.submit("j1", has_text=True)
    found = table.do(events.LinkBroken("continuer"))
    assert of_kind(found, effects.RequeueJob)
    assert not refusals(later(table, table.state.settings.come_back_s - 1))
    assert refusals(later(table, 2)) == [("j1", Refusal.INSTANCES_FAILED)]


def test_interrupted_answer_goes_on_when_its_instance_is_back_in_time() -> None:
    table = Table()
    table.join("beginner", model=BEGINNER, slots=4)
    table.join("s1", instance="continuer")
    table.submit("j1", has_text=True)
    table.do(events.LinkBroken("s1"))
    assert not refusals(later(table, 2))
    assert assigned(table.join("s2", instance="continuer")) == [("j1", "s2", 2)]


def test_job_ends_when_only_those_that_failed_it_are_left() -> None:
    table = Table()
    table.join("a")
    table.submit("j1")
    table.join("b")
    table.do(events.AttemptFailed("a", "j1", 1, FailureCode.ENGINE_ERROR, "no"))
    table.do(events.LinkBroken("b"))
    assert refusals(later(table, 10)) == [("j1", Refusal.INSTANCES_FAILED)]


def test_an_attempt_that_cannot_go_on_is_stopped_and_its_job_waits_again_without_blame() -> None:
    table = Table()
    table.join("a")
    table.submit("j1")
    found = table.do(events.AttemptLost("a", "j1", 1))
    assert effects.CancelAttempt("a", "j1", 1, "the attempt can't go on") in found
    assert effects.RequeueJob("j1") in found
    assert table.state.records["a"].consecutive_failures == 0
    assert table.do(events.AttemptLost("a", "j1", 7)) == []


def test_attempts_that_the_sites_own_processes_cost_do_not_count() -> None:
    table = Table()
    table.join("x0")
    table.submit("j1")
    for number in range(1, 8):
        table.join(f"x{number}")
        found = table.do(events.LinkBroken(f"x{number - 1}", is_ours=True))
        assert assigned(found) == [("j1", f"x{number}", number + 1)]
    for number in range(8, 10):
        table.join(f"x{number}")
        table.do(events.LinkBroken(f"x{number - 1}"))
    table.join("last")
    assert refusals(table.do(events.LinkBroken("x9"))) == [("j1", Refusal.INSTANCES_FAILED)]
