"""Muon: steps of orthogonalised momentum for matrices and convolutions, AdamW's for all else, in one optimizer."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

# Source: Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks".
_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
_ITERATIONS = 5
# Of such a root mean square AdamW's own steps usually are, so that one rate serves both. Source: Liu et al. 2025, "Muon
# is scalable for LLM training".
_SIZE = 0.2


def orthogonalised(matrices: Tensor) -> Tensor:
    """About the nearest matrices whose singular values are all 1; (n, rows, columns), computed as they come.

    torch.optim.Muon does it in bfloat16, which a CPU without such instructions is slow at, and one matrix at a time.
    """
    a, b, c = _COEFFICIENTS
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT if tall else matrices
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(_ITERATIONS):
        square = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(square, square, square, beta=b, alpha=c), x, beta=a)
    return x.mT if tall else x


class Muon(torch.optim.AdamW):
    """AdamW, except for parameter groups with "momentum": those take orthogonalised steps of the same usual size."""

    def __init__(self, groups: Iterable[dict[str, Any]], rate: float) -> None:
        super().__init__(groups, lr=rate, betas=(0.9, 0.99), fused=True)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """One step of every group."""
        every = self.param_groups
        self.param_groups = [group for group in every if "momentum" not in group]
        super().step()
        self.param_groups = every
        for group in every:
            if "momentum" in group:
                self._orthogonal_step(group)

    def _orthogonal_step(self, group: dict[str, Any]) -> None:
        alike: dict[tuple[int, int], list[tuple[nn.Parameter, Tensor]]] = defaultdict(list)
        for parameter in group["params"]:
            if parameter.grad is None:
                continue
            gradient = parameter.grad.reshape(len(parameter), -1)
            state = self.state[parameter]
            if "average" not in state:
                # AdamW asks for the step of every parameter when it loads its state.
                state |= {"average": torch.zeros_like(gradient), "step": torch.tensor(0.0)}
            average = state["average"]
            average.lerp_(gradient, 1 - group["momentum"])
            ahead = gradient.lerp(average, group["momentum"])
            alike[tuple(ahead.shape)].append((parameter, ahead))
        for shape, pairs in alike.items():
            steps = orthogonalised(torch.stack([ahead for _, ahead in pairs]))
            size = _SIZE * max(shape) ** 0.5
            for (parameter, _), step in zip(pairs, steps, strict=True):
                parameter.mul_(1 - group["lr"] * group["weight_decay"])
                parameter.add_(step.view_as(parameter), alpha=-group["lr"] * size)


def groups(modules: Iterable[nn.Module], weight_decay: float, momentum: float = 0.95) -> list[dict[str, Any]]:
    """Parameter groups of modules: what Muon moves, and what AdamW does.

    Muon's are the weights of convolutions and linear layers that lead from features to features: not those that read
    pictures or write them (3 channels), nor embeddings.
    """
    orthogonal: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for module in modules:
        inner = {
            id(layer.weight)
            for layer in module.modules()
            if isinstance(layer, nn.Conv2d | nn.Linear) and min(layer.weight.shape[:2]) > 16
        }
        for parameter in module.parameters():
            if parameter.requires_grad:
                (orthogonal if id(parameter) in inner else others).append(parameter)
    return [
        {"params": orthogonal, "weight_decay": weight_decay, "momentum": momentum},
        {"params": [p for p in others if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in others if p.ndim <= 1], "weight_decay": 0.0},
    ]
