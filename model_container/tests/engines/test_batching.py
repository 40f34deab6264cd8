"""Batches in which answers join, leave and move: each sees its own text and nothing else."""

from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from motherfluxer_model.engines import attention, packing
from motherfluxer_model.engines.batching import BatchRunner, Row
from motherfluxer_model.engines.kvcache import CAPACITY_STEP
from motherfluxer_model.engines.packing import PackedLinear, pack_linears
from motherfluxer_model.engines.runner import make_runner
from motherfluxer_model.engines.sequence import Feed

from .families import CONTEXT_TOKENS, IN_BATCHES, VOCABULARY, make_model

MODELS = {family: make_model(family, IN_BATCHES[family]) for family in ("phi", "llama")}
tokens = st.lists(st.integers(3, VOCABULARY - 1), min_size=1, max_size=12)


def new_runner(family: str, kept_bytes: int = 10**6) -> BatchRunner:
    model = make_model(family, IN_BATCHES[family])
    runner = make_runner(model, "cpu", context_tokens=CONTEXT_TOKENS, kept_bytes=kept_bytes)
    assert isinstance(runner, BatchRunner)
    return runner


def alone(family: str, ids: list[int]) -> torch.Tensor:
    """Ask the library for the logits after a text."""
    logits: torch.Tensor = MODELS[family](torch.tensor([ids])).logits[0, -1]
    return logits


def same(a: torch.Tensor, b: torch.Tensor) -> bool:
    return bool(torch.allclose(a, b, atol=1e-4, rtol=1e-4))


@dataclass
class Answer:
    row: Row
    ids: list[int] = field(default_factory=list)


class Churn(RuleBasedStateMachine):
    """Any order of joining, feeding parts, going on, leaving and being spoilt."""

    @initialize(family=st.sampled_from(sorted(MODELS)))
    def begin(self, family: str) -> None:
        self.family = family
        self.runner = new_runner(family)
        self.answers: list[Answer] = []
        self.ended: list[list[int]] = []

    def feed(self, chosen: list[tuple[Answer, list[int]]]) -> None:
        with torch.inference_mode():
            logits = self.runner.step([Feed(a.row, ids) for a, ids in chosen])
            for row, (answer, ids) in zip(logits, chosen, strict=True):
                answer.ids += ids
                assert same(row, alone(self.family, answer.ids))

    @precondition(lambda self: len(self.answers) < 6)
    @rule(ids=tokens, follows=st.booleans(), cut=st.integers(0, 60))
    def join(self, ids: list[int], follows: bool, cut: int) -> None:
        if follows and self.ended:
            ids = (self.ended[-1][: max(1, cut)] + ids)[:60]
        with torch.inference_mode():
            row, known = self.runner.open(ids)
        assert known < len(ids)
        answer = Answer(row, ids[:known])
        self.answers.append(answer)
        self.feed([(answer, ids[known:])])

    @precondition(lambda self: self.answers)
    @rule(data=st.data())
    def go_on(self, data: st.DataObject) -> None:
        some = [a for a in self.answers if data.draw(st.booleans())]
        fed = [(a, data.draw(tokens)[: 120 - len(a.ids)]) for a in some]
        fed = [(a, ids if data.draw(st.booleans()) else ids[:1]) for a, ids in fed if ids]
        if fed:
            self.feed(data.draw(st.permutations(fed)))

    @precondition(lambda self: self.answers)
    @rule(at=st.integers(0, 5), is_sound=st.booleans())
    def leave(self, at: int, is_sound: bool) -> None:
        answer = self.answers.pop(at % len(self.answers))
        with torch.inference_mode():
            self.runner.close(answer.row, is_sound=is_sound)
        if is_sound:
            self.ended.append(answer.ids)

    @invariant()
    def rows_stand_without_gaps(self) -> None:
        rows = [answer.row.index for answer in getattr(self, "answers", [])]
        assert sorted(rows) == list(range(len(rows)))


TestChurn = Churn.TestCase
TestChurn.settings = settings(max_examples=25, stateful_step_count=20, deadline=None)


@pytest.mark.parametrize("family", MODELS)
@pytest.mark.parametrize("wasted", [0, 10**9])
@torch.inference_mode()
def test_rows_read_one_by_one_and_together_say_the_same(
    family: str, wasted: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attention, "CALL_COSTS_TOKENS", wasted)
    runner = new_runner(family)
    texts = [[5, 6, 7], list(range(3, 60)), [9] * 20]
    rows = [runner.open(ids)[0] for ids in texts]
    runner.step([Feed(row, ids) for row, ids in zip(rows, texts, strict=True)])
    logits = runner.step([Feed(row, [4]) for row in rows])
    for row, ids in zip(logits, texts, strict=True):
        assert same(row, alone(family, [*ids, 4]))


@torch.inference_mode()
def test_text_longer_than_the_first_capacity_is_kept_whole() -> None:
    long = {**IN_BATCHES["llama"], "max_position_embeddings": 4 * CAPACITY_STEP}
    model = make_model("llama", long)
    ids = torch.randint(3, VOCABULARY, (2 * CAPACITY_STEP + 9,)).tolist()
    expected = model(torch.tensor([ids])).logits[0, -1]
    runner = make_runner(model, "cpu", context_tokens=4 * CAPACITY_STEP, kept_bytes=0)
    neighbour, _ = runner.open([5, 6])
    runner.step([Feed(neighbour, [5, 6])])
    row, _ = runner.open(ids)
    for at in range(0, len(ids), 100):
        logits = runner.step([Feed(row, ids[at : at + 100])])
    assert same(logits[0], expected)
    assert same(runner.step([Feed(neighbour, [7])])[0], model_alone(long, [5, 6, 7]))


def model_alone(shape: dict[str, Any], ids: list[int]) -> torch.Tensor:
    logits: torch.Tensor = make_model("llama", shape)(torch.tensor([ids])).logits[0, -1]
    return logits


@torch.inference_mode()
def test_what_is_not_a_number_leaves_with_its_answer() -> None:
    runner = new_runner("llama")
    spoilt, _ = runner.open([5, 6])
    runner.step([Feed(spoilt, [5, 6])])
    for block in runner._cache._layers.values():
        block.keys[spoilt.index] = float("nan")
        block.values[spoilt.index] = float("nan")
    runner.close(spoilt, is_sound=False)
    row, known = runner.open([5, 6])
    assert (row.index, known) == (0, 0)
    assert same(runner.step([Feed(row, [5, 6])])[0], alone("llama", [5, 6]))


@torch.inference_mode()
def test_failed_step_leaves_every_state_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    runner = new_runner("llama")
    row, _ = runner.open([5, 6])
    runner.step([Feed(row, [5, 6])])
    with pytest.raises(IndexError):
        runner.step([Feed(row, [VOCABULARY + 5])])
    assert row.ids == [5, 6]
    assert same(runner.step([Feed(row, [7])])[0], alone("llama", [5, 6, 7]))


@pytest.fixture
def small_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pack layers however small they are."""
    monkeypatch.setattr(packing, "MIN_WEIGHTS", 0)


@pytest.mark.usefixtures("small_too")
def test_packed_layers_give_what_plain_ones_give() -> None:
    model = make_model("phi", IN_BATCHES["phi"])
    plain = model(torch.tensor([[5, 6, 7]])).logits
    assert pack_linears(model) > 0
    assert not any(type(module) is torch.nn.Linear for module in model.modules())
    assert any(isinstance(module, PackedLinear) for module in model.modules())
    assert same(model(torch.tensor([[5, 6, 7]])).logits, plain)


@pytest.mark.usefixtures("small_too")
def test_types_that_cannot_be_packed_stay_plain() -> None:
    assert pack_linears(make_model("phi", IN_BATCHES["phi"]).double()) == 0


def test_small_layers_stay_plain() -> None:
    assert pack_linears(make_model("phi", IN_BATCHES["phi"])) == 0
