"""Running a causal language model over many answers at once, each step over all of them.

The model's own code computes everything but attention, which it asks for through the library's
attention interface. Models that do not use that interface, or want more of attention than is done
here, run by `LibraryRunner` instead; `runner.py` decides by comparing results.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import torch
from transformers import AttentionInterface

from motherfluxer_model.core.prefixes import MIN_TOKENS, PrefixStore
from motherfluxer_model.engines.attention import Span, StepPlan, attend, refuse_unknown
from motherfluxer_model.engines.kvcache import Kept, KeyValueCache, size_bytes
from motherfluxer_model.engines.sequence import Feed

_numbers = itertools.count()
# Positions that depend on the longest text of a step cannot be shared by several answers.
_SHARED_ROPES: Final = frozenset({"default", "linear", "llama3", "yarn", "proportional"})


class UnfitModelError(Exception):
    """This model cannot be run in batches here."""


@dataclass(slots=True, eq=False)
class Row:
    """One answer's place in the cache; `ids` is what the cache holds of it."""

    index: int
    ids: list[int] = field(default_factory=list)


class BatchRunner:
    """Runs one model; rows join and leave between two steps."""

    is_joint = True

    def __init__(
        self, model: Any, device: str, *, context_tokens: int, kept_bytes: int = 0
    ) -> None:
        self.kept: PrefixStore[Kept] = PrefixStore(kept_bytes)
        self._model = model
        self._device = device
        self._context_tokens = context_tokens
        self._cache = KeyValueCache()
        self._rows: list[Row] = []
        self._plan: StepPlan | None = None
        self._before = model.config._attn_implementation
        _refuse_rope(model)
        name = f"motherfluxer_batch_{next(_numbers)}"
        AttentionInterface.register(name, self._attend)
        model.set_attn_implementation(name)
        if model.config._attn_implementation != name:
            raise UnfitModelError("the model brings attention of its own")

    def release(self) -> None:
        """Give the model back as it was."""
        self._model.set_attn_implementation(self._before)

    def open(self, ids: Sequence[int]) -> tuple[Row, int]:
        """Begin an answer whose text begins with `ids`; say how many of them are computed already.

        The last one never is: feeding it gives the first token of the answer.
        """
        row = Row(len(self._rows))
        found = self.kept.find(ids)
        count = 0
        if found is not None:
            kept, count = found
            count = min(count, len(ids) - 1)
            self._cache.reserve(len(self._rows) + 1, count)
            self._cache.put_in(row.index, kept, count)
            row.ids = list(ids[:count])
        self._rows.append(row)
        return row, count

    def step(self, feeds: Sequence[Feed]) -> torch.Tensor:
        """Feed tokens to several answers; give for each feed a row of logits, as float32."""
        by_row = sorted(range(len(feeds)), key=lambda i: feeds[i].state.index)
        ordered = [feeds[i] for i in by_row]
        spans = [Span(feed.state.index, len(feed.state.ids), len(feed.ids)) for feed in ordered]
        self._cache.reserve(len(self._rows), max(span.end for span in spans))
        plan = self._plan = StepPlan(spans, self._model.dtype, self._device)
        ids = [token for feed in ordered for token in feed.ids]
        last_tokens = [0] * len(feeds)
        for i, last in zip(by_row, plan.last_tokens, strict=True):
            last_tokens[i] = last
        output = self._model(
            input_ids=torch.tensor([ids], device=self._device),
            position_ids=plan.positions[None],
            use_cache=False,
            logits_to_keep=torch.tensor(last_tokens, device=self._device),
        )
        for feed in feeds:
            feed.state.ids += feed.ids
        logits: torch.Tensor = output.logits[0].float()
        return logits

    def close(self, row: Row, *, is_sound: bool) -> None:
        """End an answer; what was computed for it is kept for a follow-up where it is sound."""
        length = len(row.ids)
        if not is_sound:
            self._cache.wipe(row.index)
        elif self.kept.max_bytes and length >= MIN_TOKENS and not self.kept.holds(row.ids):
            kept = self._cache.take_out(row.index, length)
            self.kept.put(row.ids, kept, size_bytes(kept))
        last = self._rows.pop()
        if last is not row:
            self._cache.move(last.index, row.index, len(last.ids))
            last.index = row.index
            self._rows[row.index] = last

    def _attend(
        self,
        module: Any,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        attention_mask: torch.Tensor | None,
        *,
        scaling: float | None = None,
        **extras: Any,
    ) -> tuple[torch.Tensor, None]:
        """Do what the library's attention interface asks for."""
        if attention_mask is not None:
            raise UnfitModelError("the model masks its attention itself")
        unknown = refuse_unknown(extras, self._context_tokens)
        if unknown is not None:
            raise UnfitModelError(unknown)
        assert self._plan is not None  # noqa: S101  only a step runs the model
        seen = attend(self._plan, self._cache, module.layer_idx, query, key, value, scaling)
        return seen, None


def _refuse_rope(model: Any) -> None:
    for module in model.modules():
        kind = getattr(module, "rope_type", "default")
        if isinstance(kind, str) and kind not in _SHARED_ROPES:
            raise UnfitModelError(f"positions of the kind {kind}")
