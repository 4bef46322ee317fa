"""The frozen U-Net of a base: which family it is, and what it predicts under given conditions."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from armature.bases.families import FAMILIES, Family
from armature.errors import CheckpointError


def plain_module(module: nn.Module) -> nn.Module:
    """The module that `torch.compile` wrapped, or the module itself."""
    inner = module._modules.get("_orig_mod")
    return module if inner is None else inner


def family_of(unet: nn.Module) -> Family:
    """The family of a U-Net of any widths and depths, compiled or not.

    Raises CheckpointError, naming what was found and what is known, for any other network.
    """
    unet = plain_module(unet)
    blocks = [plain_module(block) for block in getattr(unet, "down_blocks", ())]
    names = [type(block).__name__ for block in blocks]
    networks = {base.__name__ for base in type(unet).__mro__}
    plain_first = bool(blocks) and not _has(blocks[0], "attentions") and _has(blocks[0], "downsamplers")
    for family in FAMILIES.values():
        rule = family.unet
        known = blocks and rule.network in networks and not set(names) - {rule.attention, rule.plain}
        if known and rule.plain_first == plain_first:
            return family
    rules = [family.unet for family in FAMILIES.values()]
    found = f" with the encoder blocks {names}" if names else ""
    networks_known = dict.fromkeys(rule.network for rule in rules)
    blocks_known = dict.fromkeys(block for rule in rules for block in (rule.attention, rule.plain))
    raise CheckpointError(
        f"No sites are known in {type(unet).__name__}{found}. Features fit {' and '.join(networks_known)} built from "
        f"{', '.join(blocks_known)}; attach to a pipeline that has one of these."
    )


def _has(block: Any, layers: str) -> bool:
    return bool(getattr(block, layers, None))


def added_conditions(pooled: Tensor | None, time_ids: Tensor | None) -> dict[str, Tensor] | None:
    """What a U-Net takes as added_cond_kwargs; None for a family without added conditions.

    pooled: (n, width) of the captions. time_ids: (n, 6) original size, crop corner and target size in pixels, which
    stay in float32: half precision would round those above 256 or 2048.
    """
    if pooled is None or time_ids is None:
        return None
    return {"text_embeds": pooled, "time_ids": time_ids.float()}


def example_conditions(family: Family, config: Any, count: int, dtype: torch.dtype) -> dict[str, Tensor] | None:
    """Added conditions of the right shapes for `count` samples, without content. config: of the U-Net."""
    if not family.sizes:
        return None
    pooled = config.projection_class_embeddings_input_dim - 6 * config.addition_time_embed_dim
    return {"text_embeds": torch.empty(count, pooled, dtype=dtype), "time_ids": torch.empty(count, 6, dtype=dtype)}


def predict(
    unet: Any,
    noisy: Tensor,
    timesteps: Tensor,
    text: Tensor,
    added: dict[str, Any] | None = None,
    arithmetic: torch.dtype = torch.float32,
) -> Tensor:
    """What the frozen U-Net says of noisy latents, (n, c, h, w) in the precision in which it computes.

    unet: in any precision, compiled or not; features are added by the hooks that stand on it. noisy: (n, c, h, w).
    timesteps: (n,) int64. text: (n, tokens, width) states of the captions. added: see added_conditions.
    arithmetic: what a float32 U-Net computes in; one in half precision keeps to its own, since autocast around it would
    only move its norms to float32.
    """
    own = next(unet.parameters()).dtype
    more = {} if added is None else {"added_cond_kwargs": added}
    with computing_in(noisy.device, arithmetic if own == torch.float32 else torch.float32):
        return unet(noisy.to(own), timesteps, text.to(own), return_dict=False, **more)[0]


def computing_in(device: torch.device, dtype: torch.dtype) -> AbstractContextManager[Any]:
    """Where float32 weights compute in another precision."""
    return nullcontext() if dtype == torch.float32 else torch.autocast(device.type, dtype)
