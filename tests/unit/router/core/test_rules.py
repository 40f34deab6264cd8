"""Each simple rule picks what its formula says, over what really happened to the instances."""

from collections import Counter
from math import exp

import pytest

from apps.router.core.errors import UnknownRuleError
from apps.router.core.selection.rules import RULES, rule_named
from apps.router.core.values import FailureCode, ServedModel
from tests.unit.router.core.board import TINY, Board


def winners(board: Board, count: int) -> list[str]:
    """Return who gets jobs that end before the next one comes."""
    found = []
    for n in range(count):
        found.append(board.submit(f"w{n}"))
        board.done(f"w{n}")
    return found


def loaded(board: Board, slots: dict[str, int], loads: dict[str, int]) -> None:
    """Connect instances and give each so many jobs, by a model that it alone serves."""
    for name, count in slots.items():
        own = ServedModel(f"of-{name}", 8192, 4096)
        board.join(name, slots=count, models=(TINY, own))
        for n in range(loads.get(name, 0)):
            assert board.submit(f"{name}-{n}", model_name=own.name) == name


def test_there_are_nine_rules_each_with_a_version() -> None:
    assert list(RULES) == [
        "soonest",
        "random",
        "round-robin",
        "least-loaded",
        "two-choices",
        "peak-ewma",
        "c3",
        "prequal",
        "prefix-affinity",
    ]
    assert all(rule.name == f"{name}/1" for name, rule in RULES.items() if name != "soonest")


def test_unknown_rule_is_refused_by_name() -> None:
    with pytest.raises(UnknownRuleError, match="no rule 'best'; there are soonest, random"):
        rule_named("best")


@pytest.mark.parametrize("name", RULES)
def test_every_rule_gives_the_same_decisions_for_the_same_seed(name: str) -> None:
    def run(seed: int) -> list[str]:
        board = Board(rule=name, seed=seed)
        for instance in "abcd":
            board.join(instance, slots=3)
        return winners(board, 40)

    assert run(7) == run(7)


def test_random_is_even_and_another_seed_draws_otherwise() -> None:
    runs = []
    for seed in (1, 2):
        board = Board(rule="random", seed=seed)
        for instance in "abcd":
            board.join(instance, slots=2)
        runs.append(winners(board, 400))
    assert runs[0] != runs[1]
    for found in runs:
        assert set(found) == set("abcd")
        # 100 each; four standard deviations of a binomial draw are 35.
        assert all(abs(count - 100) < 35 for count in Counter(found).values())


def test_round_robin_goes_round_and_a_new_one_is_next() -> None:
    board = Board(rule="round-robin")
    for instance in "abc":
        board.join(instance, slots=2)
    assert winners(board, 7) == list("abcabca")
    board.join("d", slots=2)
    assert board.submit("j1") == "d"
    assert board.submit("j2") == "b"


LOADS = [
    # slots, open jobs, who has the smallest share in use
    ({"a": 1, "b": 4}, {"b": 1}, "a"),
    ({"a": 2, "b": 8}, {"a": 1, "b": 3}, "b"),
    ({"a": 2, "b": 8}, {"a": 1, "b": 5}, "a"),
    ({"a": 4, "b": 4, "c": 4}, {"a": 2, "b": 1, "c": 3}, "b"),
    ({"a": 16, "b": 1}, {"a": 15}, "b"),
]


@pytest.mark.parametrize(("slots", "loads", "winner"), LOADS)
def test_least_loaded_compares_shares_of_the_slots(
    slots: dict[str, int], loads: dict[str, int], winner: str
) -> None:
    board = Board(rule="least-loaded")
    loaded(board, slots, loads)
    assert board.submit("j", model_name="tiny") == winner
    assert board.scores() == {name: loads.get(name, 0) / slots[name] for name in slots}


@pytest.mark.parametrize("count", [1, 2, 5, 12])
def test_two_choices_looks_at_two_and_takes_the_less_loaded(count: int) -> None:
    board = Board(rule="two-choices", seed=3)
    slots = {f"i{n}": 20 for n in range(count)}
    loaded(board, slots, {f"i{n}": n for n in range(count)})
    seen = set()
    for n in range(30):
        winner = board.submit(f"j{n}", model_name="tiny")
        looked_at = {name: score for name, score in board.scores().items() if score is not None}
        assert len(looked_at) == min(2, count)
        assert looked_at[winner] == min(looked_at.values())
        seen |= set(looked_at)
        board.done(f"j{n}")
    assert seen == set(slots)


def test_peak_ewma_jumps_up_at_once_and_comes_down_by_the_time() -> None:
    board = Board(rule="peak-ewma")
    board.join("a", slots=4)
    board.join("b", slots=4)
    assert board.submit("first", prompt_tokens=950) == "a"
    assert board.scores() == {"a": 0.0, "b": 0.0}
    assert board.submit("second", prompt_tokens=950) == "b"
    # An unmeasured one that has a job costs very much, an unmeasured idle one nothing.
    assert board.scores() == {"a": 1e6 + 1, "b": 0.0}
    board.now = 2.0
    board.progress("first")  # 2 s for 950 + 50 tokens
    board.now = 12.0
    board.submit("third", prompt_tokens=950)
    # Decayed over 10 s; a has one job open.
    assert board.scores() == {"a": pytest.approx(0.002 * exp(-1) * 2), "b": 1e6 + 1}
    assert board.owner("third") == "a"
    board.now = 13.0
    board.progress("third")  # 1 s: less than the last peak, so the mean moves down to it
    cost = 0.002 * exp(-1.1) + 0.001 * (1 - exp(-1.1))
    board.submit("fourth", prompt_tokens=950)
    assert board.scores()["a"] == pytest.approx(cost * 3)


def test_peak_ewma_counts_a_failure_as_five_seconds() -> None:
    board = Board(rule="peak-ewma")
    board.join("a", slots=2)
    board.join("b", slots=2)
    for n, name in enumerate("ab"):
        assert board.submit(f"j{n}", prompt_tokens=950) == name
        board.answer(f"j{n}", first_s=1.0)
        board.now -= 1.0
    board.now += 1.0
    board.submit("broken", prompt_tokens=950)
    assert board.owner("broken") == "a"
    board.fail("broken")
    assert board.owner("broken") == "b"
    board.submit("next", prompt_tokens=950)
    assert board.scores() == {
        "a": pytest.approx(5.0 / 1000),
        "b": pytest.approx(0.001 * 2),
    }


def test_c3_is_response_less_service_plus_the_cube_of_the_queue() -> None:
    board = Board(rule="c3")
    board.join("a", slots=2)
    board.submit("one", prompt_tokens=950)
    board.submit("two", prompt_tokens=950)
    board.now = 2.0
    board.progress("one")  # alone: R = S = 0.002
    assert board.record("a").memory["c3"] == pytest.approx([0.002, 0.002])
    board.now = 4.0
    board.progress("two")  # beside another: R = 0.004, S = 0.002
    response, service = 0.002 + 0.3 * 0.002, 0.002
    assert board.record("a").memory["c3"] == pytest.approx([response, service])
    board.done("two")
    board.submit("three", prompt_tokens=950)
    queue = 1 + 1 / 2
    assert board.scores()["a"] == pytest.approx(response - service + queue**3 * service)


def test_c3_counts_a_failure_as_five_seconds() -> None:
    board = Board(rule="c3")
    board.join("a")
    board.submit("j", prompt_tokens=950)
    board.fail("j", FailureCode.OVERLOADED)
    assert board.record("a").memory["c3"] == pytest.approx([0.005, 0.005])


def prequal(latencies: dict[str, float], loads: dict[str, int]) -> Board:
    """Return instances of ten slots that once answered alone so fast and now have so many jobs."""
    board = Board(rule="prequal")
    for name, latency_s in latencies.items():
        board.school(name, first_s=latency_s, token_s=0.1)
    loaded(board, dict.fromkeys(latencies, 10), loads)
    return board


def test_prequal_takes_the_fastest_cold_one_however_empty_others_are() -> None:
    board = prequal({"a": 3.0, "b": 1.0, "c": 2.0}, {"b": 1, "c": 2})
    # Cold: at most the load at place int(0.84 x 2) = 1 of 0, 0.1, 0.2.
    assert board.submit("j", prompt_tokens=950, model_name="tiny") == "b"
    assert board.scores() == {
        "a": pytest.approx(0.003),
        "b": pytest.approx(0.001),
        "c": pytest.approx(1e6 + 0.2),
    }


def test_prequal_takes_the_least_loaded_when_all_that_could_have_it_are_hot() -> None:
    board = prequal({"a": 1.0, "b": 3.0}, {"a": 3, "b": 2})
    for n in range(9):
        board.join(f"idle-{n}", models=(ServedModel("other", 8192, 4096),))
    # Place int(0.84 x 10) = 8 of eleven loads is an idle one's.
    assert board.submit("j", prompt_tokens=950, model_name="tiny") == "b"
    scores = board.scores()
    assert scores["a"] == pytest.approx(1e6 + 0.3, abs=1e-6)
    assert scores["b"] == pytest.approx(1e6 + 0.2, abs=1e-6)


def test_prequal_believes_what_was_measured_at_about_the_present_load() -> None:
    board = Board(rule="prequal")
    board.join("a", slots=10)
    kept = [latency for n in range(8) for latency in (float(n), 0.001 * (n + 1))]
    board.record("a").memory["prequal"] = kept
    board.submit("first", prompt_tokens=950)
    # At 0 jobs the five measured nearest are those at 0 to 4: their median is the one at 2.
    assert board.scores() == {"a": pytest.approx(0.003)}
    for n in range(4):
        board.submit(f"more-{n}", prompt_tokens=950)
    board.submit("last", prompt_tokens=950)
    assert board.scores() == {"a": pytest.approx(0.006)}


@pytest.mark.parametrize(("held", "winner"), [(299, "b"), (300, "b"), (301, "a"), (5000, "a")])
def test_prefix_affinity_needs_more_than_three_tenths_of_the_prompt(held: int, winner: str) -> None:
    board = Board(rule="prefix-affinity")
    board.join("a", slots=4)
    board.join("b", slots=4)
    assert board.submit("before", prompt_tokens=100, conversation="c1") == "a"
    board.done("before", tokens=held - 100, prompt=100)
    assert board.submit("other") == "b"
    board.done("other")
    assert board.submit("load", conversation="another", user="user:2") == "a"
    assert board.submit("j", prompt_tokens=1000, conversation="c1") == winner


def test_prefix_affinity_passes_by_a_holder_without_a_free_slot() -> None:
    board = Board(rule="prefix-affinity")
    board.join("a")
    board.join("b")
    assert board.submit("before", prompt_tokens=900, conversation="c1") == "a"
    board.done("before", tokens=50, prompt=900)
    assert board.submit("same", prompt_tokens=1000, conversation="c1") == "a"
    assert board.submit("same too", prompt_tokens=1000, conversation="c1") == "b"
