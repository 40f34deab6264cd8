"""Attention of one step over tokens of several answers, laid one after the other.

All tokens of a step go through the model's other layers as one text of tokens, so that no place is
wasted on padding; here each answer's tokens see their own row of the cache, and no other.

    step:  [ p p p p | d | d | d ]      p: part of a prompt, d: the next token of a running answer
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Final

import torch
from torch.nn.functional import scaled_dot_product_attention

from motherfluxer_model.engines.kvcache import KeyValueCache, LayerBlock

ALIGNED_TO_TOKENS: Final = 8  # kernels for graphics cards want masks of such lengths
# Rows read one by one cost a call each, rows read together cost the longest one's length for all:
# so many wasted tokens are worth one call (measured on two processor cores).
CALL_COSTS_TOKENS: Final = 256


@dataclass(frozen=True, slots=True)
class Span:
    """The tokens of one answer in a step: `count` of them, the first at `start` in its row."""

    row: int
    start: int
    count: int

    @property
    def end(self) -> int:
        """The row's length after this step."""
        return self.start + self.count


@dataclass(frozen=True, slots=True)
class Part:
    """Several tokens of one answer: where in the step, and what they may see."""

    span: Span
    first: int
    mask: torch.Tensor  # [tokens, row length], 0 or -inf


class StepPlan:
    """What the tokens of one step are, for spans in the order of their rows."""

    def __init__(self, spans: Sequence[Span], dtype: torch.dtype, device: str) -> None:
        self.device, self.dtype = device, dtype
        rows = [span.row for span in spans for _ in range(span.count)]
        positions = [p for span in spans for p in range(span.start, span.end)]
        self.rows = torch.tensor(rows, device=device)
        self.positions = torch.tensor(positions, device=device)
        self.last_tokens = [end - 1 for end in accumulate(span.count for span in spans)]
        placed = [
            (span, last + 1 - span.count)
            for span, last in zip(spans, self.last_tokens, strict=True)
        ]
        self.parts = [
            Part(span, first, self._part_mask(span)) for span, first in placed if span.count > 1
        ]
        self._set_single([(span, first) for span, first in placed if span.count == 1])

    def _set_single(self, single: list[tuple[Span, int]]) -> None:
        """Lay out the answers that get one token."""
        self.single = [span for span, _ in single]
        self.is_plain = not self.parts and [s.row for s in self.single] == list(range(len(single)))
        self.single_tokens = torch.tensor([first for _, first in single], device=self.device)
        self.single_rows = torch.tensor([span.row for span in self.single], device=self.device)
        if not single:
            return
        longest = max(span.end for span in self.single)
        self.length = -(-longest // ALIGNED_TO_TOKENS) * ALIGNED_TO_TOKENS
        self.rows_count = self.single[-1].row + 1
        wasted = self.rows_count * self.length - sum(span.end for span in self.single)
        is_cheaper = wasted > CALL_COSTS_TOKENS * len(single)
        self.is_one_by_one = self.device == "cpu" and is_cheaper
        ends = torch.ones(self.rows_count, dtype=torch.long)  # rows of others see their first token
        ends[[span.row for span in self.single]] = torch.tensor([s.end for s in self.single])
        seen = torch.arange(self.length)[None, :] < ends[:, None]
        self.mask = _additive(seen, self.dtype).to(self.device)[:, None, None, :]

    def _part_mask(self, span: Span) -> torch.Tensor:
        seen = torch.arange(span.end)[None, :] <= torch.arange(span.start, span.end)[:, None]
        return _additive(seen, self.dtype).to(self.device)


def attend(
    plan: StepPlan,
    cache: KeyValueCache,
    layer_index: int,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    scale: float | None,
) -> torch.Tensor:
    """Store the step's keys and values, and give what each token draws from its own row.

    `query` is [1, heads, tokens, width], `key` and `value` [1, key heads, tokens, width]; the
    result is [1, tokens, heads, width of values].
    """
    block = cache.layer(layer_index, key, value)
    block.keys[plan.rows, :, plan.positions] = key[0].transpose(0, 1)
    block.values[plan.rows, :, plan.positions] = value[0].transpose(0, 1)
    tokens = query[0].transpose(0, 1)  # [tokens, heads, width]
    if plan.is_plain and not plan.is_one_by_one:
        return _attend_single(plan, block, tokens, scale)[None]
    result = tokens.new_empty((*tokens.shape[:2], value.shape[3]))
    for part in plan.parts:
        here = slice(part.first, part.first + part.span.count)
        result[here] = _attend_part(part, block, tokens[here], scale)
    if plan.single and plan.is_one_by_one:
        for span, at in zip(plan.single, plan.single_tokens.tolist(), strict=True):
            result[at] = _attend_row(span, block, tokens[at], scale)
    elif plan.single:
        spread = tokens.new_zeros((plan.rows_count, *tokens.shape[1:]))
        spread[plan.single_rows] = tokens[plan.single_tokens]
        result[plan.single_tokens] = _attend_single(plan, block, spread, scale)[plan.single_rows]
    return result[None]


def _attend_single(
    plan: StepPlan, block: LayerBlock, tokens: torch.Tensor, scale: float | None
) -> torch.Tensor:
    """One token for each row: [rows, heads, width]."""
    rows, heads, width = tokens.shape
    keys = block.keys[:rows, :, : plan.length]
    values = block.values[:rows, :, : plan.length]
    # Heads that share keys stand as further tokens: nothing of the cache is copied for them.
    shared = heads // keys.shape[1]
    query = tokens.reshape(rows, keys.shape[1], shared, width)
    mask = plan.mask.expand(rows, 1, shared, plan.length)
    seen = scaled_dot_product_attention(query, keys, values, attn_mask=mask, scale=scale)
    return seen.reshape(rows, heads, -1)


def _attend_row(
    span: Span, block: LayerBlock, token: torch.Tensor, scale: float | None
) -> torch.Tensor:
    """The one token of one answer, by itself: [heads, width]."""
    keys = block.keys[span.row : span.row + 1, :, : span.end]
    values = block.values[span.row : span.row + 1, :, : span.end]
    query = token.reshape(1, keys.shape[1], -1, token.shape[-1])
    seen = scaled_dot_product_attention(query, keys, values, scale=scale)
    return seen.reshape(token.shape[0], -1)


def _attend_part(
    part: Part, block: LayerBlock, tokens: torch.Tensor, scale: float | None
) -> torch.Tensor:
    """Several tokens of one answer: [tokens, heads, width]."""
    span, (count, heads, width) = part.span, tokens.shape
    keys = block.keys[span.row : span.row + 1, :, : span.end]
    values = block.values[span.row : span.row + 1, :, : span.end]
    key_heads = keys.shape[1]
    shared = heads // key_heads
    query = tokens.view(count, key_heads, shared, width).permute(1, 2, 0, 3)
    query = query.reshape(1, key_heads, shared * count, width)
    mask = part.mask.repeat(shared, 1)[None, None]
    seen = scaled_dot_product_attention(query, keys, values, attn_mask=mask, scale=scale)
    seen = seen.view(key_heads, shared, count, -1).permute(2, 0, 1, 3)
    return seen.reshape(count, heads, -1)


def _additive(seen: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    return torch.zeros(seen.shape, dtype=dtype).masked_fill_(~seen, float("-inf"))


def refuse_unknown(extras: dict[str, Any], context_tokens: int) -> str | None:
    """Say what a model asks of attention that is not done here; None: nothing."""
    window = extras.get("sliding_window")
    if window is not None and window < context_tokens:
        return f"a sliding window of {window} tokens"
    for name in ("softcap", "s_aux", "position_bias"):
        if extras.get(name) is not None:
            return name
    return None
