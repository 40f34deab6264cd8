"""A small world, whole: the same again with the same seed, and nothing is lost in it."""

from collections import Counter
from dataclasses import replace

import pytest

from apps.router.core.selection.rules import RULES
from apps.router.core.settings import CoreSettings
from apps.router.simulator.faults import FAULTS, faults_named
from apps.router.simulator.machines import CONTEXT_TOKENS, capacity, fleet_of
from apps.router.simulator.measures import Objective, jain, measure, quantile
from apps.router.simulator.runs import CONDITIONS, Scenario, ScenarioError, run, settings_with
from apps.router.simulator.traffic import at_rate, means, peopled, poisson
from apps.router.simulator.world import World

SMALL = Scenario(fleet="mixed:8", jobs=250, load=0.8)


class Counting(World):
    """A world that counts how often each request ended."""

    ends: Counter[str]

    def _end(self, job_id: str, *, has_answer: bool) -> None:
        self.ends[job_id] += 1
        super()._end(job_id, has_answer=has_answer)


def counting(rule: str, faults: tuple[str, ...], seed: int) -> Counting:
    """Return a world that has been run."""
    machines = fleet_of(8, kind="mixed", seed=seed)
    requests = poisson(count=250, prompt_tokens=800, answer_tokens=150, seed=seed)
    requests = peopled(
        requests,
        users=10,
        demo_share=0.2,
        follow_ups=0.5,
        context_tokens=CONTEXT_TOKENS,
        seed=seed,
    )
    requests = at_rate(requests, 0.8 * capacity(machines, *means(requests)))
    happens = faults_named(faults, machines=8, lasts_s=requests[-1].at, seed=seed)
    world = Counting(machines, requests, happens, CoreSettings(rule=rule, seed=seed))
    world.ends = Counter()
    world.run()
    return world


@pytest.mark.parametrize("condition", CONDITIONS)
@pytest.mark.parametrize("rule", RULES)
def test_every_request_ends_exactly_once_and_no_token_is_lost(rule: str, condition: str) -> None:
    world = counting(rule, CONDITIONS[condition], seed=2)
    jobs = world.outcome.jobs
    assert world.ends == {str(n): 1 for n in range(250)}
    for job in jobs:
        assert job.ended_at is not None
        if job.has_answer:
            assert job.given_tokens == job.request.answer_tokens
            assert job.first_at is not None
            assert job.submitted_at <= job.first_at <= job.ended_at
        else:
            assert job.refusal
    assert sum(job.has_answer for job in jobs) >= 240
    assert not world.state.jobs
    assert not len(world.state.queue)


@pytest.mark.parametrize("condition", CONDITIONS)
def test_same_scenario_gives_the_same_figures(condition: str) -> None:
    scenario = replace(SMALL, faults=CONDITIONS[condition])
    first, second = run(scenario), run(scenario)
    assert first.jobs == second.jobs
    assert (first.lasted_s, first.decisions) == (second.lasted_s, second.decisions)
    other = run(replace(scenario, seed=2))
    assert other.jobs != first.jobs


def test_conditions_cover_every_fault() -> None:
    assert {fault for faults in CONDITIONS.values() for fault in faults} == set(FAULTS)


def test_measures_are_those_of_all_requests() -> None:
    found = measure([run(SMALL), run(replace(SMALL, seed=2))], Objective())
    assert found.all.jobs == 500
    assert sum(one.jobs for one in found.classes.values()) == 500
    assert set(found.classes) == {"registered", "demo"}
    assert 0.9 < found.all.goodput <= 1.0
    first = found.all.first_token_s
    assert 0 < first.p50 <= first.p95 <= first.p99
    assert found.first_token_s_sorted == sorted(found.first_token_s_sorted)
    assert len(found.first_token_s_sorted) == 500
    assert found.attempts_per_job == 1.0


def test_fast_failing_and_mute_instances_are_ejected_and_readmitted() -> None:
    found = run(replace(SMALL, fleet="same:6", jobs=600, faults=("fails-fast", "black-hole")))
    assert found.eject_s
    assert found.readmit_s
    assert all(took_s > 0 for took_s in found.eject_s + found.readmit_s)


@pytest.mark.parametrize(
    ("values", "index"), [([1, 1, 1, 1], 1.0), ([1, 0, 0, 0], 0.25), ([2, 1], 0.9), ([], 1.0)]
)
def test_jain_is_one_for_equals_and_a_share_for_one_who_has_all(
    values: list[float], index: float
) -> None:
    assert jain(values) == pytest.approx(index)


def test_quantiles() -> None:
    ascending = [float(n) for n in range(100)]
    assert [quantile(ascending, share) for share in (0.5, 0.95, 0.99, 1.0)] == [50, 95, 99, 99]
    assert quantile([], 0.5) == 0.0


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"fleet": "many:3"}, "fleet 'many:3': mixed:COUNT"),
        ({"fleet": "mixed:0"}, "fleet 'mixed:0'"),
        ({"fleet": "nowhere.json"}, "fleet nowhere.json"),
        ({"jobs": 0}, "jobs: at least 1"),
        ({"users": 0}, "users: at least 1"),
        ({"load": 0.0}, "load: more than 0"),
        ({"rate": -1.0}, "rate: more than 0"),
        ({"demo_share": 1.5}, "demo_share: from 0 to 1"),
        ({"follow_ups": -0.5}, "follow_ups: from 0 to 1"),
        ({"settings": {"speed": 3.0}}, "no setting 'speed' that is a number"),
        ({"settings": {"rule": 3.0}}, "no setting 'rule' that is a number"),
    ],
)
def test_scenario_that_makes_no_sense_is_refused(wrong: dict[str, object], words: str) -> None:
    with pytest.raises(ScenarioError, match=words):
        run(replace(SMALL, **wrong))  # type: ignore[arg-type]


def test_settings_keep_their_kind() -> None:
    found = settings_with(CoreSettings(), {"considered_count": 12.0, "ageing_s": 30})
    assert found.considered_count == 12
    assert isinstance(found.considered_count, int)
    assert isinstance(found.ageing_s, float)
