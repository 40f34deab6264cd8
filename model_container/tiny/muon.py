"""The Muon optimizer in float32: torch's own computes in bfloat16, slow on processors."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import torch
from torch import Tensor, nn

# Coefficients of the quintic Newton-Schulz iteration, from Keller Jordan's Muon.
A, B, C = 3.4445, -4.7750, 2.0315
ITERATIONS = 5
# Makes an update as large as one of Adam's (Liu et al. 2025, "Muon is scalable for LLM training").
SCALE = 0.2


def orthogonal(stack: Tensor) -> Tensor:
    """Bring every matrix of a stack (count, rows, columns) near the closest orthogonal one."""
    is_tall = stack.size(1) > stack.size(2)
    x: Tensor = stack.mT if is_tall else stack
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(ITERATIONS):
        gram = x @ x.mT
        x = A * x + (B * gram + C * gram @ gram) @ x
    return x.transpose(1, 2) if is_tall else x


class Muon(torch.optim.Optimizer):
    """Momentum whose update is orthogonalised. For matrices only; equal shapes go together."""

    def __init__(
        self, matrices: Iterable[nn.Parameter], lr: float, momentum: float, decay: float
    ) -> None:
        super().__init__(matrices, {"lr": lr, "momentum": momentum, "decay": decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Update all matrices that have a gradient."""
        for group in self.param_groups:
            shapes: dict[tuple[int, ...], list[nn.Parameter]] = defaultdict(list)
            for matrix in group["params"]:
                if matrix.grad is not None:
                    shapes[tuple(matrix.shape)].append(matrix)
            for shape, matrices in shapes.items():
                updates = orthogonal(
                    torch.stack([self._nesterov(m, group["momentum"]) for m in matrices])
                )
                size = group["lr"] * SCALE * max(shape) ** 0.5
                for matrix, update in zip(matrices, updates, strict=True):
                    matrix.mul_(1 - group["lr"] * group["decay"]).sub_(update, alpha=size)

    def _nesterov(self, matrix: nn.Parameter, momentum: float) -> Tensor:
        gradient = matrix.grad if matrix.grad is not None else torch.zeros_like(matrix)
        state = self.state[matrix]
        if "average" not in state:
            state["average"] = torch.zeros_like(gradient)
        average: Tensor = state["average"]
        average.lerp_(gradient, 1 - momentum)
        return gradient.lerp(average, momentum)
