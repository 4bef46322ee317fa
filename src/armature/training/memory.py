"""How much memory a training will take, found out before it starts and without taking it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from armature.adapters.registry import build_adapter
from armature.bases.unet import example_conditions
from armature.injection.hooks import injected
from armature.training.setup import Setup

# Gradient checkpointing computes one block at a time again; the largest holds about this share of all activations.
_LARGEST_BLOCK = 1 / 8
# What libraries need beside the tensors that can be counted: workspaces, fragments between blocks.
_SPARE = 1.1
_OPTIMIZER_BYTES = {"adamw": 8, "adamw8bit": 2}


@dataclass(frozen=True)
class MemoryEstimate:
    """Bytes on the training's device.

    base: the frozen U-Net; with online encoding the other models too. adapter: float32 weights, gradients, and
    averaged weights. optimizer: its two moments. activations: what one forward pass keeps for the backward pass.
    """

    base: int
    adapter: int
    optimizer: int
    activations: int

    @property
    def total(self) -> int:
        """All of it, and a tenth for what cannot be counted."""
        return round(_SPARE * (self.base + self.adapter + self.optimizer + self.activations))


def estimate_memory(setup: Setup) -> MemoryEstimate:
    """Count what a training of this setup holds at its peak, between the forward and the backward pass.

    Weights are counted exactly. Activations are counted on models without data (torch's meta device), with the
    attention of modern kernels, which keep no attention matrix; with train.checkpoint_gradients an eighth of them is
    added for the block that is computed again. Pictures are taken as squares of data.resolution.
    """
    recipe, parts = setup.recipe, setup.base.pipeline.components
    frozen = [part for name, part in parts.items() if isinstance(part, nn.Module) and name != "safety_checker"]
    parameters = sum(parameter.numel() for parameter in setup.adapter.parameters())
    copies = 3 if recipe.train.ema else 2
    half = 0 if setup.precision == torch.float32 else setup.precision.itemsize
    kept = _activations(setup, checkpointed=recipe.train.checkpoint_gradients)
    if recipe.train.checkpoint_gradients:
        kept += round(_LARGEST_BLOCK * _activations(setup, checkpointed=False))
    return MemoryEstimate(
        base=sum(_bytes(part) for part in ([parts["unet"]] if recipe.cache.enabled else frozen)),
        adapter=parameters * (4 * copies + half),
        optimizer=parameters * _OPTIMIZER_BYTES[recipe.train.optimizer],
        activations=kept,
    )


def _bytes(module: nn.Module) -> int:
    return sum(tensor.numel() * tensor.itemsize for tensor in [*module.parameters(), *module.buffers()])


def _activations(setup: Setup, *, checkpointed: bool) -> int:
    """Bytes that autograd keeps of one forward pass of U-Net and adapter."""
    with torch.device("meta"):
        unet, adapter = _hollow(setup)
        inputs, control = _inputs(setup, unet)
    if checkpointed:
        unet.enable_gradient_checkpointing()
        # Only a model in training mode checkpoints; a frozen one without dropout computes the same there.
        unet.train()
    weights = {_storage(tensor) for module in (unet, adapter) for tensor in module.state_dict(keep_vars=True).values()}
    # Tensors are held on to, so that no storage is forgotten and its number given to another.
    kept: dict[int, torch.Tensor] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        if (storage := _storage(tensor)) not in weights:
            kept[storage] = tensor
        return tensor

    with injected(unet) as injection, _LeanAttention(), torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t):
        injection.set(adapter(control))
        # The result keeps the graph alive while it is counted.
        result = unet(**inputs, return_dict=False)
        count = sum(tensor.untyped_storage().nbytes() for tensor in kept.values())
        del result
    return count


def _hollow(setup: Setup) -> tuple[Any, nn.Module]:
    """The U-Net and the adapter without data, in the precisions in which they compute."""
    real = setup.base.pipeline.unet
    unet = type(real).from_config(real.config)
    for module in unet.modules():
        module._apply(lambda tensor: tensor.to(real.dtype), recurse=False)
    return unet.requires_grad_(False), build_adapter(setup.adapter.spec).to(setup.precision)


def _inputs(setup: Setup, unet: Any) -> tuple[dict[str, Any], torch.Tensor]:
    count, config = setup.recipe.train.batch, unet.config
    side = max(1, setup.recipe.data.resolution // setup.stride) * setup.stride
    cells = side // setup.base.stride
    tokens = setup.base.pipeline.tokenizer.model_max_length
    inputs: dict[str, Any] = {
        "sample": torch.empty(count, config.in_channels, cells, cells, dtype=unet.dtype),
        "timestep": torch.zeros(count, dtype=torch.long),
        "encoder_hidden_states": torch.empty(count, tokens, config.cross_attention_dim, dtype=unet.dtype),
    }
    if (added := example_conditions(setup.base.family, config, count, unet.dtype)) is not None:
        inputs["added_cond_kwargs"] = added
    network = type(setup.adapter)
    return inputs, network.empty_condition(setup.adapter.spec, count, (side, side), setup.precision)


def _storage(tensor: torch.Tensor) -> int:
    return tensor.untyped_storage()._cdata


class _Attention(torch.autograd.Function):
    """Attention as far as memory goes: inputs and output are kept, the matrix between them is not."""

    @staticmethod
    def forward(ctx: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        result = query.new_empty(*query.shape[:-1], value.shape[-1])
        ctx.save_for_backward(query, key, value, result)
        return result


class _LeanAttention(TorchFunctionMode):
    """Models without data would otherwise be given the one kernel that keeps the attention matrix."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is F.scaled_dot_product_attention:
            return _Attention.apply(*args[:3])
        return func(*args, **(kwargs or {}))
