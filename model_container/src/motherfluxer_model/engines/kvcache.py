"""Keys and values of all running answers: one block per layer, one row per answer.

    block of a layer: [rows, key heads, capacity, width]; row r holds tokens 0 .. length(r) - 1

Rows in use are the first ones, without gaps. What lies beyond a row's length is masked wherever it
is read, and is always a finite number: blocks begin as zeros.
"""

from dataclasses import dataclass
from typing import Final

import torch

Kept = list[
    tuple[torch.Tensor, torch.Tensor]
]  # per layer: keys, values, each [heads, tokens, width]
CAPACITY_STEP: Final = 256


@dataclass(slots=True)
class LayerBlock:
    """Keys and values of one layer."""

    keys: torch.Tensor
    values: torch.Tensor


class KeyValueCache:
    """The blocks of all layers; they come into being when a layer first writes."""

    def __init__(self) -> None:
        self._layers: dict[int, LayerBlock] = {}
        self._rows = 1
        self._capacity = CAPACITY_STEP

    def reserve(self, rows: int, length: int) -> None:
        """Make room for so many rows of so many tokens; what is there stays."""
        if rows > self._rows or length > self._capacity:
            while self._rows < rows:
                self._rows *= 2
            self._capacity = max(self._capacity, -(-length // CAPACITY_STEP) * CAPACITY_STEP)
        for layer in self._layers.values():
            if layer.keys.shape[0] < self._rows or layer.keys.shape[2] < self._capacity:
                layer.keys = self._grown(layer.keys)
                layer.values = self._grown(layer.values)

    def layer(self, index: int, key: torch.Tensor, value: torch.Tensor) -> LayerBlock:
        """Give a layer's block; `key` and `value` [1, heads, tokens, width] tell its shape."""
        block = self._layers.get(index)
        if block is None:
            block = LayerBlock(self._zeros_like(key), self._zeros_like(value))
            self._layers[index] = block
        return block

    def move(self, source: int, target: int, length: int) -> None:
        """Copy a row of so many tokens over another."""
        for block in self._layers.values():
            for side in (block.keys, block.values):
                side[target, :, :length] = side[source, :, :length]

    def wipe(self, row: int) -> None:
        """Fill a row with zeros: what is not a number spoils even where it is masked."""
        for block in self._layers.values():
            block.keys[row].zero_()
            block.values[row].zero_()

    def take_out(self, row: int, length: int) -> Kept:
        """Copy a row's first tokens for keeping."""
        return [
            (block.keys[row, :, :length].clone(), block.values[row, :, :length].clone())
            for _, block in sorted(self._layers.items())
        ]

    def put_in(self, row: int, kept: Kept, length: int) -> None:
        """Write the first tokens of what was kept into a row."""
        for (_, block), (keys, values) in zip(sorted(self._layers.items()), kept, strict=True):
            block.keys[row, :, :length] = keys[:, :length]
            block.values[row, :, :length] = values[:, :length]

    def _zeros_like(self, sample: torch.Tensor) -> torch.Tensor:
        heads, width = sample.shape[1], sample.shape[3]
        return sample.new_zeros((self._rows, heads, self._capacity, width))

    def _grown(self, side: torch.Tensor) -> torch.Tensor:
        rows, heads, capacity, width = side.shape
        grown = side.new_zeros((self._rows, heads, self._capacity, width))
        grown[:rows, :, :capacity] = side
        return grown


def size_bytes(kept: Kept) -> int:
    """Say how much memory a kept row takes."""
    return sum(keys.nbytes + values.nbytes for keys, values in kept)
