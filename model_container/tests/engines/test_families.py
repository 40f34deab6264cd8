"""Every family gives in our batches the text that the library's own `generate` gives."""

from typing import Any

import pytest
import torch

from motherfluxer_model.engines import packing
from motherfluxer_model.engines.batching import BatchRunner
from motherfluxer_model.engines.packing import pack_linears
from motherfluxer_model.engines.runner import LibraryRunner, make_runner
from motherfluxer_model.engines.sequence import Feed, Runner

from .families import CONTEXT_TOKENS, IN_BATCHES, ONE_BY_ONE, SLIDING, VOCABULARY, make_model

ANSWER_TOKENS = 24


def prompts(count: int) -> list[list[int]]:
    """Give prompts of different lengths."""
    generator = torch.Generator().manual_seed(3)
    return [
        torch.randint(3, VOCABULARY, (length,), generator=generator).tolist()
        for length in range(3, 3 + 5 * count, 5)
    ]


def generated(model: Any, prompt: list[int]) -> list[int]:
    """Ask the library."""
    ids = torch.tensor([prompt])
    settings = {"max_new_tokens": ANSWER_TOKENS, "min_new_tokens": ANSWER_TOKENS}
    mask = torch.ones_like(ids)
    answer = model.generate(ids, attention_mask=mask, do_sample=False, pad_token_id=0, **settings)
    tokens: list[int] = answer[0, len(prompt) :].tolist()
    return tokens


def answered(runner: Runner, asked: list[list[int]], together: int) -> list[list[int]]:
    """Answer greedily, `together` at once: one leaves when it is done, the next joins."""
    waiting = list(enumerate(asked))
    answers: dict[int, list[int]] = {number: [] for number, _ in waiting}
    running: dict[int, tuple[Any, list[int]]] = {}
    while waiting or running:
        while waiting and len(running) < together:
            number, prompt = waiting.pop(0)
            state, known = runner.open(prompt)
            running[number] = (state, prompt[known:])
        logits = runner.step([Feed(state, ids) for state, ids in running.values()])
        logits[:, 2] = float("-inf")  # as `min_new_tokens` does with the end
        for number, token in zip(list(running), logits.argmax(-1).tolist(), strict=True):
            answers[number].append(token)
            state = running[number][0]
            running[number] = (state, [token])
            if len(answers[number]) == ANSWER_TOKENS - number:  # they leave at different steps
                runner.close(state, is_sound=True)
                del running[number]
    return [answers[number] for number in sorted(answers)]


@torch.inference_mode()
def check(runner: Runner, expected: list[list[int]], together: int) -> None:
    left_at = [tokens[: ANSWER_TOKENS - number] for number, tokens in enumerate(expected)]
    assert answered(runner, prompts(len(expected)), together) == left_at


@pytest.mark.parametrize("family", IN_BATCHES)
def test_family_runs_in_batches_as_in_the_library(
    family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packing, "MIN_WEIGHTS", 0)
    model = make_model(family, IN_BATCHES[family])
    expected = [generated(model, prompt) for prompt in prompts(10)]
    pack_linears(model)
    runner = make_runner(model, "cpu", context_tokens=CONTEXT_TOKENS, kept_bytes=10**7)
    assert isinstance(runner, BatchRunner)
    for together in (1, 8):
        check(runner, expected, together)


@pytest.mark.parametrize("family", ONE_BY_ONE)
def test_family_with_attention_of_its_own_runs_one_by_one(family: str) -> None:
    model = make_model(family, ONE_BY_ONE[family])
    expected = [generated(model, prompt) for prompt in prompts(10)]
    runner = make_runner(model, "cpu", context_tokens=CONTEXT_TOKENS, kept_bytes=10**7)
    assert isinstance(runner, LibraryRunner)
    check(runner, expected, 8)


@pytest.mark.parametrize(("context_tokens", "kind"), [(8, BatchRunner), (128, LibraryRunner)])
def test_window_as_wide_as_the_context_is_none(context_tokens: int, kind: type) -> None:
    model = make_model("mistral", SLIDING)
    runner = make_runner(model, "cpu", context_tokens=context_tokens, kept_bytes=0)
    assert isinstance(runner, kind)


def test_rope_that_depends_on_the_longest_text_is_not_shared() -> None:
    rope = {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 10000.0}
    model = make_model("llama", {**IN_BATCHES["llama"], "rope_parameters": rope})
    runner = make_runner(model, "cpu", context_tokens=CONTEXT_TOKENS, kept_bytes=0)
    assert isinstance(runner, LibraryRunner)
