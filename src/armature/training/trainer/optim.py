"""The optimizer of an adapter, and its state as named tensors."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn

from armature.errors import CheckpointError, RecipeError
from armature.training.recipe.model import TrainSettings


@dataclass(frozen=True, eq=False)
class OptimizerState:
    """What an optimizer remembers. Names are PARAMETER/KEY, as in "body.0.block1.weight/exp_avg".

    tensors: its moments. scalars: what is no tensor, as JSON-ready values.
    """

    tensors: dict[str, Tensor]
    scalars: dict[str, Any]


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
