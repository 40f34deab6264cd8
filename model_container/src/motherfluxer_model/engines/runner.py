"""Running a causal language model over a cache of keys and values, one answer at a time."""

from dataclasses import dataclass, field
from typing import Any

import torch

from motherfluxer_model.engines.sequence import State


@dataclass(slots=True)
class CacheState:
    """One answer's cache; `ids` is only kept for models that give no cache."""

    cache: Any = None
    ids: list[int] = field(default_factory=list)
    has_cache: bool = True


class TorchRunner:
    """Runs one model; each answer has its own cache."""

    def __init__(self, model: Any, device: str) -> None:
        self._model = model
        self._device = device

    def warm_up(self) -> None:
        """Run two steps, so that the first visitor does not wait for what is made lazily."""
        with torch.inference_mode():
            state = self.begin()
            self.forward(state, [0, 0, 0])
            self.forward(state, [0])

    def begin(self) -> CacheState:
        """Make the state of a new answer; the model itself makes the cache that suits it."""
        return CacheState()

    def forward(self, state: State, ids: list[int]) -> torch.Tensor:
        """Feed tokens; give the row of logits for what comes next, as float32."""
        assert isinstance(state, CacheState)  # noqa: S101  made by `begin`
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
