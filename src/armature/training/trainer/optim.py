"""What moves the weights: the optimizer and its state as named tensors, the learning rate, the averaged weights."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, Literal

import torch
from torch import Tensor, nn

from armature.errors import CheckpointError, RecipeError
from armature.training.checkpoint.state import OptimizerState
from armature.training.recipe.model import TrainSettings

Schedule = Literal["constant", "cosine", "linear"]

# Where the cosine ends, as a share of the peak: the last steps are to change something still.
COSINE_FLOOR = 0.02


def build_optimizer(adapter: nn.Module, settings: TrainSettings) -> torch.optim.Optimizer:
    """The optimizer that a recipe asks for, over all parameters of the adapter.

    Biases and other one-dimensional parameters do not decay. AdamW runs fused where the device can.
    Raises RecipeError when 8-bit AdamW is wanted and bitsandbytes is missing or cannot work on this device.
    """
    parameters = list(adapter.parameters())
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": settings.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    device = parameters[0].device.type
    if settings.optimizer == "adamw8bit":
        return _eight_bit(groups, settings, device)
    fused = device in ("cuda", "cpu", "mps", "xpu")
    return torch.optim.AdamW(groups, lr=settings.learning_rate, betas=settings.betas, fused=fused)


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Learn at this rate from now on."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def learning_rate(peak: float, schedule: Schedule, warmup: int, step: int, progress: float) -> float:
    """The rate of the step that follows `step` done ones.

    progress: 0..1 of the whole length. constant stays at the peak; cosine falls to 2 % of it, linear to 0.
    warmup: over so many first steps the rate grows linearly, on top of the schedule.
    """
    if schedule == "cosine":
        factor = COSINE_FLOOR + (1 - COSINE_FLOOR) * 0.5 * (1 + math.cos(math.pi * progress))
    elif schedule == "linear":
        factor = 1 - progress
    else:
        factor = 1.0
    return peak * factor * (min(1.0, (step + 1) / warmup) if warmup else 1.0)


def optimizer_state(optimizer: torch.optim.Optimizer, adapter: nn.Module) -> OptimizerState:
    """What the optimizer remembers of each parameter; tensors are its own, not copies."""
    tensors, scalars = {}, {}
    for name, parameter in adapter.named_parameters():
        for key, value in optimizer.state.get(parameter, {}).items():
            (tensors if isinstance(value, Tensor) else scalars)[f"{name}/{key}"] = value
    return OptimizerState(tensors, scalars)


def load_optimizer_state(optimizer: torch.optim.Optimizer, adapter: nn.Module, state: OptimizerState) -> None:
    """Have the optimizer remember what another one of the same adapter did; groups and rates stay its own.

    Raises CheckpointError when the names are not those of this adapter's parameters.
    """
    order = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    numbers = {id(parameter): number for number, parameter in enumerate(order)}
    named = dict(adapter.named_parameters())
    each: dict[int, dict[str, Any]] = {}
    for full, value in {**state.tensors, **state.scalars}.items():
        name, _, key = full.rpartition("/")
        parameter = named.get(name)
        if parameter is None:
            raise CheckpointError(f"The saved optimizer knows {name!r}, which this adapter lacks; resume its own run.")
        each.setdefault(numbers[id(parameter)], {})[key] = _laid_out(value, parameter)
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": each, "param_groups": groups})


def _laid_out(value: Any, parameter: Tensor) -> Any:
    """A moment with the strides of its parameter: kernels walk over both in step, 8-bit ones too."""
    if isinstance(value, Tensor) and value.shape == parameter.shape:
        return torch.empty_like(parameter, dtype=value.dtype, requires_grad=False).copy_(value)
    return value


def _eight_bit(groups: list[dict[str, Any]], settings: TrainSettings, device: str) -> torch.optim.Optimizer:
    try:
        module = import_module("bitsandbytes.optim")
    except ImportError as error:
        raise RecipeError(
            "train.optimizer is 'adamw8bit', which needs bitsandbytes; install it (pip install bitsandbytes), "
            "or take 'adamw'."
        ) from error
    _try_eight_bit(module.AdamW8bit, device)
    for parameter in (p for group in groups for p in group["params"]):
        # Its kernels walk over plain memory and bring a parameter into row order, but only after the first moments were
        # laid out as the parameter lay: they would then name another order than they have, and be saved in it.
        parameter.data = parameter.data.contiguous()
    return module.AdamW8bit(groups, lr=settings.learning_rate, betas=settings.betas)


def _try_eight_bit(kind: Any, device: str) -> None:
    """One step of a parameter that is let go: releases differ in the devices that they have kernels for."""
    probe = nn.Parameter(torch.zeros(64, 64, device=device))
    probe.grad = torch.ones_like(probe)
    try:
        kind([probe]).step()
    # Whatever it is that a release without the kernels raises.
    except Exception as error:
        version = getattr(import_module("bitsandbytes"), "__version__", "of unknown version")
        raise RecipeError(
            f"train.optimizer is 'adamw8bit', which bitsandbytes {version} cannot do on {device} ({error}); "
            "take 'adamw', or another release of it."
        ) from error


def decay_at(decay: float, updates: int) -> float:
    """The decay of the n-th update, n from 1: min(decay, (1 + n) / (10 + n)), so that the start does not linger."""
    return min(decay, (1 + updates) / (10 + updates))


class Ema:
    """Exponential moving average of parameters: average <- d average + (1 - d) weights.

    It starts as a copy of the parameters, and keeps their device, precision and layout.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], decay: float) -> None:
        self.decay = decay
        self.live = list(parameters)
        self.average: list[Tensor] = [parameter.detach().clone() for parameter in self.live]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Move the average towards the present parameters. step: optimizer steps done, at least 1."""
        torch._foreach_lerp_(self.average, [p.detach() for p in self.live], 1 - decay_at(self.decay, step))

    @contextmanager
    def swapped(self) -> Iterator[None]:
        """The parameters hold the average while the block runs, and their own values again after it."""
        self._exchange()
        try:
            yield
        finally:
            self._exchange()

    @torch.no_grad()
    def load(self, values: Iterable[Tensor]) -> None:
        """Take over averages in the order of the parameters."""
        for average, value in zip(self.average, values, strict=True):
            average.copy_(value)

    @torch.no_grad()
    def copy_out(self) -> None:
        """Put the average into the parameters for good."""
        for parameter, average in zip(self.live, self.average, strict=True):
            parameter.copy_(average)

    def _exchange(self) -> None:
        # Storages change places: no copy is made, and no rounding happens.
        for index, parameter in enumerate(self.live):
            parameter.data, self.average[index] = self.average[index], parameter.data
