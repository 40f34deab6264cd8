"""Every kind of fault happens when it should, and does what it says."""

import pytest

from apps.router.core.settings import CoreSettings
from apps.router.core.values import ServiceClass
from apps.router.simulator.faults import FAULTS, Fault, faults_named
from apps.router.simulator.machines import Machine
from apps.router.simulator.outcome import JobRun
from apps.router.simulator.traffic import Request
from apps.router.simulator.world import World

KINDS = {
    "slow": {"speed"},
    "games": {"speed"},
    "fails-fast": {"failing", "mended"},
    "black-hole": {"speed"},
    "leaving": {"leave", "join"},
    "late-heartbeats": {"late"},
    "cold": {"cold"},
    "churn": {"leave", "join-new"},
    "restart": {"restart"},
}


def test_there_is_every_kind() -> None:
    assert set(FAULTS) == set(KINDS)


@pytest.mark.parametrize("name", FAULTS)
def test_faults_come_again_with_their_seed_in_order_of_time(name: str) -> None:
    found = faults_named([name], machines=20, lasts_s=3000.0, seed=1)
    assert found == faults_named([name], machines=20, lasts_s=3000.0, seed=1)
    assert {fault.kind for fault in found} == KINDS[name]
    assert [f.at for f in found] == sorted(f.at for f in found)
    assert all(0 <= fault.machine < 20 for fault in found if fault.kind != "restart")
    if name != "restart":
        others = [faults_named([name], machines=20, lasts_s=3000.0, seed=n) for n in (2, 3, 4)]
        assert any(found != other for other in others)


def test_kinds_do_not_disturb_each_other_and_come_together() -> None:
    together = faults_named(list(FAULTS), machines=20, lasts_s=3000.0, seed=1)
    alone = [f for n in FAULTS for f in faults_named([n], machines=20, lasts_s=3000.0, seed=1)]
    assert sorted(together, key=repr) == sorted(alone, key=repr)
    assert [f.at for f in together] == sorted(f.at for f in together)


def test_unknown_kind_is_refused() -> None:
    with pytest.raises(KeyError):
        faults_named(["flood"], machines=1, lasts_s=1.0, seed=1)


def machine(name: str) -> Machine:
    return Machine(
        name=name, slots=1, prefill_tokens_per_s=1000, decode_tokens_per_s=10, crowding=0.0
    )


def world(machines: int, faults: list[Fault], *at: float) -> World:
    """Return a world of equal machines, where an answer takes 10.01 s and the way there 5 ms."""
    requests = [Request(t, 10, 100, f"u{t}", ServiceClass.REGISTERED, "") for t in at]
    fleet = [machine(f"m{n}") for n in range(machines)]
    return World(fleet, requests, faults, CoreSettings(ejection_jitter=0.0))


def run(machines: int, faults: list[Fault], *at: float) -> list[JobRun]:
    """Run it."""
    found = world(machines, faults, *at).run().jobs
    assert all(job.ended_at is not None for job in found)
    return found


def lasted(job: JobRun) -> float:
    return (job.ended_at or 0.0) - job.submitted_at


def test_without_a_fault_an_answer_takes_what_it_takes() -> None:
    [job] = run(1, [], 5.0)
    assert job.has_answer
    assert lasted(job) == pytest.approx(10.01 + 0.005)
    assert (job.first_at or 0) - 5.0 == pytest.approx(0.11 + 0.005)


def test_slow_machine_takes_five_times_as_long() -> None:
    [job] = run(1, [Fault(1.0, "speed", 0, 0.2)], 5.0)
    assert lasted(job) == pytest.approx(5 * 10.01 + 0.005)


def test_speed_that_comes_back_counts_from_then_on() -> None:
    [job] = run(1, [Fault(7.0, "speed", 0, 0.5), Fault(9.0, "speed", 0, 1.0)], 5.0)
    assert lasted(job) == pytest.approx(11.01 + 0.005)


def test_failing_machine_fails_at_once_and_another_one_answers() -> None:
    [job] = run(2, [Fault(1.0, "failing", 0)], 5.0)
    assert job.has_answer
    assert job.attempts == 2
    assert lasted(job) == pytest.approx(0.005 + 0.005 + 10.01 + 0.005)


def test_mended_machine_answers_again() -> None:
    [bad, good] = run(1, [Fault(1.0, "failing", 0), Fault(20.0, "mended", 0)], 5.0, 60.0)
    assert (bad.has_answer, bad.refusal) == (False, "instances_failed")
    assert good.has_answer


def test_black_hole_is_noticed_and_its_job_goes_on_elsewhere() -> None:
    [job] = run(2, [Fault(7.0, "speed", 0, 0.0)], 5.0)
    assert job.has_answer
    assert job.attempts == 2
    # It had written for 1.9 s; 4.5 s, a report and a tick to notice; the rest once more.
    assert lasted(job) < 10.01 + 4.5 + 1.5 + 0.5
    assert job.given_tokens == 100


def test_black_hole_that_got_a_job_before_its_first_token_costs_twenty_seconds() -> None:
    [job] = run(2, [Fault(1.0, "speed", 0, 0.0)], 5.0)
    assert job.attempts == 2
    assert 19.5 < lasted(job) - 10.015 < 20.0


def test_machine_that_leaves_mid_answer_loses_nothing_of_it() -> None:
    [job] = run(2, [Fault(10.0, "leave", 0), Fault(40.0, "join", 0)], 5.0)
    assert job.has_answer
    assert job.attempts == 2
    assert job.given_tokens == 100
    # The second one reads the question and what was written, and writes what is left.
    assert lasted(job) == pytest.approx(10.01 + 0.005 + 0.06, abs=0.1)


def test_machine_that_is_gone_is_back() -> None:
    [early, late] = run(1, [Fault(6.0, "leave", 0), Fault(36.0, "join", 0)], 5.0, 50.0)
    assert early.has_answer
    assert lasted(early) > 31.0
    assert lasted(late) == pytest.approx(10.015)


def test_late_heartbeats_cut_an_idle_link_that_comes_back() -> None:
    found = world(1, [Fault(2.0, "late", 0, 8.0)], 20.0)
    [job] = found.run().jobs
    assert job.has_answer
    assert "m0.0/1" not in found.state.instances
    assert len(found.state.instances) == 1


def test_short_lateness_hurts_nobody() -> None:
    found = world(1, [Fault(2.0, "late", 0, 2.0)], 20.0)
    found.run()
    assert set(found.state.instances) == {"m0.0/1"}


def test_cold_machine_loads_for_fifteen_seconds_once() -> None:
    first, second = run(1, [Fault(1.0, "cold", 0, 15.0)], 5.0, 60.0)
    assert lasted(first) == pytest.approx(25.015)
    assert lasted(second) == pytest.approx(10.015)


def test_who_comes_after_churn_is_another_one() -> None:
    found = world(1, [Fault(2.0, "leave", 0), Fault(10.0, "join-new", 0)], 20.0)
    found.run()
    assert {i.instance_id for i in found.state.instances.values()} == {"m0.1"}


def test_restarted_router_goes_on_with_every_answer() -> None:
    jobs = run(3, [Fault(10.0, "restart", value=3.0)], 5.0, 5.5, 6.0, 11.0)
    assert all(job.has_answer and job.attempts == 1 for job in jobs)
    # What ends while it is away is heard when it is back.
    assert [lasted(job) for job in jobs[:3]] == pytest.approx([10.015] * 3, abs=0.01)
    assert jobs[3].given_tokens == 100
