"""Aliases: which model and revision a job is for, and that it stays so."""

from collections import Counter

import pytest

from apps.router.core import events
from apps.router.core.values import Alias, AliasTarget, Refusal, ServedModel
from tests.unit.router.core.board import Board


def model(name: str, revision: str = "") -> ServedModel:
    return ServedModel(name, 8192, 4096, revision=revision, can_continue=True)


def board_with(
    *targets: AliasTarget, forbidden: tuple[str, ...] = (), served: str = "old new", **settings: int
) -> Board:
    """Return a router with the alias "chat", and an instance for each model that is served."""
    board = Board(**settings)
    for name in served.split():
        board.join(f"of-{name}", slots=1000, models=(model(name),))
    board.do(events.CatalogChanged((Alias("chat", targets),), forbidden))
    return board


def asked(board: Board, count: int) -> Counter[str]:
    """Return how many of the jobs that asked for the alias were for which model."""
    found: Counter[str] = Counter()
    for n in range(count):
        board.submit(f"j{n}", model_name="chat")
        found[board.state.jobs[f"j{n}"].model_name or ""] += 1
        board.done(f"j{n}")
    return found


CANARY = (AliasTarget("old", 95.0), AliasTarget("new", 5.0))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_canary_gets_its_five_per_cent(seed: int) -> None:
    board = board_with(*CANARY, seed=seed)
    found = asked(board, 10_000)
    assert found.total() == 10_000
    # 500 expected; four standard deviations of a binomial draw are 87.
    assert abs(found["new"] - 500) < 88


def test_weights_are_shares_of_their_sum() -> None:
    targets = (AliasTarget("old", 1.0), AliasTarget("new", 3.0))
    assert abs(asked(board_with(*targets), 4000)["new"] - 3000) < 110


def test_target_of_no_weight_gets_nothing_while_another_is_served() -> None:
    board = board_with(AliasTarget("old", 1.0), AliasTarget("new", 0.0))
    assert asked(board, 300) == {"old": 300}


def test_decision_names_what_was_asked_and_what_was_drawn() -> None:
    board = board_with(AliasTarget("new", 1.0))
    board.submit("j", model_name="chat")
    decision = board.decisions()[-1]
    assert (decision.asked_model, decision.model_name) == ("chat", "new")


def test_only_served_targets_are_drawn() -> None:
    assert asked(board_with(*CANARY, served="new"), 50) == {"new": 50}


def test_forbidden_targets_are_not_drawn() -> None:
    assert asked(board_with(*CANARY, forbidden=("old",)), 50) == {"new": 50}


@pytest.mark.parametrize("name", ["old", "chat"])
def test_forbidden_name_does_not_exist(name: str) -> None:
    board = board_with(*CANARY, forbidden=(name,))
    assert board.submit("j", model_name=name) == ""
    refusal = board.refusal("j")
    assert refusal is not None
    assert refusal.refusal is Refusal.MODEL_NOT_FOUND
    assert refusal.detail == f"the model {name!r} does not exist"


def test_alias_all_of_whose_targets_are_forbidden_leads_nowhere() -> None:
    board = board_with(*CANARY, forbidden=("old", "new"))
    board.submit("j", model_name="chat")
    refusal = board.refusal("j")
    assert refusal is not None
    assert refusal.refusal is Refusal.MODEL_NOT_FOUND


def test_forbidden_model_answers_nobody_who_asks_for_any() -> None:
    board = board_with(forbidden=("old",))
    for n in range(4):
        assert board.submit(f"j{n}") == "of-new"


def test_revision_target_goes_only_where_that_revision_is() -> None:
    board = Board()
    for number in "12":
        board.join(f"rev-{number}", slots=50, models=(model("m", number),))
    target = AliasTarget("m", 1.0, revision="2")
    board.do(events.CatalogChanged((Alias("newest", (target,)),)))
    assert {board.submit(f"j{n}", model_name="newest") for n in range(20)} == {"rev-2"}
    assert {board.submit(f"k{n}", model_name="m") for n in range(40)} == {"rev-1", "rev-2"}


def test_job_stays_with_its_revision_over_failures() -> None:
    board = Board()
    for session, number in (("a", "2"), ("b", "1"), ("c", "2")):
        board.join(session, models=(model("m", number),))
    target = AliasTarget("m", 1.0, revision="2")
    board.do(events.CatalogChanged((Alias("newest", (target,)),)))
    assert board.submit("j", model_name="newest") == "a"
    board.fail("j")
    assert board.owner("j") == "c"
    board.leave("c")
    assert board.owner("j") == ""
    board.join("d", models=(model("m", "1"),))
    assert board.owner("j") == ""
    board.join("e", models=(model("m", "2"),))
    assert board.owner("j") == "e"


def test_changed_alias_leaves_a_running_job_its_model() -> None:
    board = board_with(AliasTarget("old", 1.0))
    board.submit("j", model_name="chat")
    board.do(events.CatalogChanged((Alias("chat", (AliasTarget("new", 1.0),)),)))
    board.leave("of-old")
    assert board.owner("j") == ""
    board.join("old again", models=(model("old"),))
    assert board.owner("j") == "old again"
    assert board.submit("k", model_name="chat") == "of-new"


def test_waiting_job_is_drawn_again_when_nobody_serves_what_it_drew() -> None:
    board = board_with(*CANARY, served="")
    board.do(events.ModelsKnown(("old", "new")))
    for n in range(40):
        board.submit(f"j{n}", model_name="chat")
    drawn = Counter(job.model_name for job in board.state.jobs.values())
    assert drawn["old"] > 30
    board.join("of-new", slots=100, models=(model("new"),))
    board.tick(0.25)
    assert len(board.state.instances["of-new"].open_jobs) == 40


def test_started_job_is_never_drawn_again() -> None:
    board = board_with(AliasTarget("old", 1.0), AliasTarget("new", 1.0), served="old")
    board.submit("j", model_name="chat")
    board.leave("of-old")
    board.join("of-new", models=(model("new"),))
    board.wait(5.0)
    assert board.owner("j") == ""
    assert board.state.jobs["j"].model_name == "old"


def test_program_is_refused_at_once_when_no_target_is_served() -> None:
    board = board_with(*CANARY, served="")
    board.do(events.ModelsKnown(("old", "new")))
    board.submit("j", model_name="chat", may_wait_for_instance=False)
    refusal = board.refusal("j")
    assert refusal is not None
    assert (refusal.refusal, refusal.retry_after_s) == (Refusal.NO_INSTANCE, 10)


def test_instances_new_list_counts_at_once() -> None:
    board = board_with(*CANARY, served="old")
    assert board.submit("before", model_name="new") == ""
    board.do(events.InstanceChanged("of-old", (model("new"),), 10))
    assert board.submit("after", model_name="new") == "of-old"
    assert asked(board, 20) == {"new": 20}


def test_longest_context_that_is_served_decides_what_is_too_long() -> None:
    board = Board()
    board.join("small", models=(ServedModel("m", 100, 50),))
    board.join("large", models=(ServedModel("m", 1000, 50),))
    assert board.submit("j1", model_name="m", least_prompt_tokens=100) == "large"
    board.submit("j2", model_name="m", least_prompt_tokens=1000)
    refusal = board.refusal("j2")
    assert refusal is not None
    assert refusal.refusal is Refusal.CONTEXT_LENGTH_EXCEEDED
    assert "no connected instance reads more than 1000" in refusal.detail
