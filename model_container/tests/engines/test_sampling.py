"""Choosing tokens: greedy, or drawn from (seed, position in the answer) alone."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from motherfluxer_model.engines.sampling import Sampler, draw_for
from motherfluxer_wire.frames import Sampling

LOGITS = torch.tensor([1.0, 3.0, 2.9, -1.0, 0.5])


def choose_all(sampler: Sampler, count: int) -> list[int]:
    return [sampler.choose(LOGITS) for _ in range(count)]


def test_without_a_temperature_the_likeliest_is_chosen() -> None:
    assert choose_all(Sampler(Sampling(), []), 3) == [1, 1, 1]
    assert choose_all(Sampler(Sampling(temperature=0, top_p=0.5), []), 1) == [1]


@given(seed=st.integers(-(2**63), 2**63 - 1), cut=st.integers(0, 20))
def test_answer_that_is_gone_on_with_draws_the_same(seed: int, cut: int) -> None:
    sampling = Sampling(temperature=1.3, top_p=0.95, seed=seed)
    whole = choose_all(Sampler(sampling, []), 20)
    assert choose_all(Sampler(sampling, whole[:cut]), 20 - cut) == whole[cut:]


def test_different_seeds_draw_differently() -> None:
    draws = {draw_for(seed, position) for seed in range(-5, 5) for position in range(10)}
    assert len(draws) == 100
    assert all(0 <= draw < 1 for draw in draws)


def test_draws_follow_the_models_chances() -> None:
    chances = torch.softmax(LOGITS, dim=-1)
    sampler = Sampler(Sampling(temperature=1, seed=1), [])
    counts = torch.bincount(torch.tensor(choose_all(sampler, 4000)), minlength=5) / 4000
    assert torch.allclose(counts, chances, atol=0.03)


def test_top_p_leaves_out_the_tail_and_never_the_first() -> None:
    assert set(choose_all(Sampler(Sampling(temperature=2, top_p=0.6, seed=1), []), 200)) == {1, 2}
    assert set(choose_all(Sampler(Sampling(temperature=2, top_p=1e-6, seed=1), []), 50)) == {1}


def test_presence_penalty_makes_greedy_move_on() -> None:
    assert choose_all(Sampler(Sampling(presence_penalty=0.5), []), 3) == [1, 2, 1]


def test_frequency_penalty_counts_the_prefix_too() -> None:
    assert choose_all(Sampler(Sampling(frequency_penalty=2.0), [1, 1]), 2) == [2, 0]


def test_spoilt_logits_are_an_error() -> None:
    with pytest.raises(ValueError, match="not a number"):
        Sampler(Sampling(), []).choose(torch.tensor([float("nan"), 1.0]))
