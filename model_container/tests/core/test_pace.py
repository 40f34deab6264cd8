"""Parts of prompts: as large as running answers can bear, shared out evenly."""

from hypothesis import given
from hypothesis import strategies as st

from motherfluxer_model.core import pace
from motherfluxer_model.core.pace import PromptPace, share_out


def paced(step_s: float, token_s: float) -> PromptPace:
    """Give a pace that has measured a machine of this speed."""
    learned = PromptPace()
    for _ in range(30):
        learned.observe(0, step_s)
        learned.observe(200, step_s + 200 * token_s)
    return learned


def test_part_lasts_as_long_as_running_answers_can_wait() -> None:
    assert paced(0.02, 0.001).part_tokens(is_alone=False) == 180
    assert paced(0.02, 0.001).part_tokens(is_alone=True) == 480


def test_slow_machine_makes_a_step_twice_as_long_at_most() -> None:
    assert paced(1.0, 0.005).part_tokens(is_alone=False) == 200


def test_parts_stay_within_sense() -> None:
    assert PromptPace().part_tokens(is_alone=False) == pace.FIRST_PART_TOKENS
    assert paced(0.5, 1.0).part_tokens(is_alone=False) == pace.MIN_PART_TOKENS
    assert paced(0.001, 1e-7).part_tokens(is_alone=False) == pace.MAX_PART_TOKENS


def test_a_few_tokens_teach_nothing() -> None:
    learned = PromptPace()
    learned.observe(pace.LEARNED_FROM_TOKENS - 1, 100.0)
    assert learned.part_tokens(is_alone=True) == pace.FIRST_PART_TOKENS


def test_a_slow_moment_is_forgotten() -> None:
    learned = paced(0.02, 0.001)
    learned.observe(64, 30.0)
    for _ in range(20):
        learned.observe(64, 0.02 + 64 * 0.001)
    assert learned.part_tokens(is_alone=False) > 150


def test_short_prompts_leave_their_share_to_long_ones() -> None:
    assert share_out([1000, 10, 50], 160) == [100, 10, 50]
    assert share_out([1000, 1000], 101) == [50, 51]
    assert share_out([], 100) == []


@given(st.lists(st.integers(1, 500), max_size=20), st.integers(1, 600))
def test_everybody_gets_something_and_nobody_more_than_needed(
    waiting: list[int], budget: int
) -> None:
    shares = share_out(waiting, budget)
    assert all(1 <= share <= need for share, need in zip(shares, waiting, strict=True))
    assert sum(shares) <= max(budget, len(waiting))
    assert sum(shares) == sum(waiting) or sum(shares) >= budget
