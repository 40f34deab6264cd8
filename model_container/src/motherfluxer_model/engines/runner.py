"""Choosing how a model is run: in batches where that gives the library's own results.

`LibraryRunner` runs any model over the cache that the library makes for it, one answer after the
other; models with sliding windows or a state of another kind need that.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import torch

from motherfluxer_model.engines.batching import BatchRunner, UnfitModelError
from motherfluxer_model.engines.sequence import Feed, Runner

logger = logging.getLogger(__name__)
# How far logits may lie apart, by the largest of them: rounding differs with the order of sums.
_TOLERANCE: Final = {torch.float32: 1e-3, torch.float16: 2e-2, torch.bfloat16: 6e-2}
_TRIAL: Final = ([1, 2, 3, 4, 5, 6, 7], [5, 3, 1])


@dataclass(slots=True, eq=False)
class CacheState:
    """One answer's cache; `ids` is only kept for models that give no cache."""

    cache: Any = None
    ids: list[int] = field(default_factory=list)
    has_cache: bool = True


class LibraryRunner:
    """Runs one model; each answer has its own cache."""

    is_joint = False

    def __init__(self, model: Any, device: str) -> None:
        self._model = model
        self._device = device

    def open(self, ids: Sequence[int]) -> tuple[CacheState, int]:
        """Make the state of a new answer; the model itself makes the cache that suits it."""
        return CacheState(), 0

    def step(self, feeds: Sequence[Feed]) -> torch.Tensor:
        """Feed one answer after the other."""
        return torch.stack([self._forward(feed.state, feed.ids) for feed in feeds])

    def close(self, state: CacheState, *, is_sound: bool) -> None:
        """Nothing is kept."""
        state.cache = None

    def _forward(self, state: CacheState, ids: list[int]) -> torch.Tensor:
        if not state.has_cache:
            state.ids += ids
            ids = state.ids
        output = self._model(
            input_ids=torch.tensor([ids], device=self._device),
            past_key_values=state.cache,
            use_cache=state.has_cache,
            logits_to_keep=1,
        )
        if state.has_cache and state.cache is None:
            state.cache = getattr(output, "past_key_values", None)
            if state.cache is None:  # a model with a state of another kind: feed all again
                state.has_cache, state.ids = False, list(ids)
        row: torch.Tensor = output.logits[0, -1].float()
        return row


@torch.inference_mode()
def make_runner(model: Any, device: str, *, context_tokens: int, kept_bytes: int) -> Runner:
    """Give the fastest runner that is right for a model, warmed up."""
    library = LibraryRunner(model, device)
    expected = _try_out(library, is_together=False)
    try:
        batch = BatchRunner(model, device, context_tokens=context_tokens, kept_bytes=kept_bytes)
    except UnfitModelError as error:
        logger.info("answers run one after the other: %s", error)
        return library
    try:
        difference = (_try_out(batch, is_together=True) - expected).abs().max()
        is_right = difference <= _TOLERANCE[model.dtype] * expected.abs().max()
        why = f"results differ by {difference:.2g}"
    except (UnfitModelError, RuntimeError, TypeError, AttributeError, KeyError) as error:
        is_right, why = torch.tensor(False), str(error)
    if is_right:
        return batch
    logger.info("answers run one after the other: %s", why)
    batch.release()
    return library


def _try_out(runner: Runner, *, is_together: bool) -> torch.Tensor:
    """Read two prompts by parts and one token more of each; give the logits of each last step."""
    first, second = (runner.open(ids)[0] for ids in _TRIAL)
    runner.step([Feed(first, _TRIAL[0][:4])])
    feeds = [Feed(first, _TRIAL[0][4:]), Feed(second, _TRIAL[1])]
    rows = [_step(runner, feeds, is_together=is_together)]
    rows.append(_step(runner, [Feed(first, [2]), Feed(second, [4])], is_together=is_together))
    for state in (first, second):
        runner.close(state, is_sound=False)
    return torch.cat(rows)


def _step(runner: Runner, feeds: list[Feed], *, is_together: bool) -> torch.Tensor:
    if is_together:
        return runner.step(feeds)
    return torch.cat([runner.step([feed]) for feed in feeds])
