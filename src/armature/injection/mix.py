"""Composition: the weighted, masked, laid-out sum of what several controls add at one site."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from armature.errors import AttachError
from armature.injection.batch import Batch, common, lay, split
from armature.injection.control import Control
from armature.injection.hooks import Addition
from armature.injection.mask import mask_at


@dataclass(frozen=True)
class Part:
    """One control with its feature maps.

    maps: one per level, (pictures, channels, height, width).
    mask: (pictures or 1, 1, height, width) in 0..1, or None.
    """

    control: Control
    maps: tuple[torch.Tensor, ...]
    mask: torch.Tensor | None = None


def mix(parts: Sequence[Part], level: int, batch: Batch, like: torch.Tensor) -> Addition | None:
    """What site `level` adds: sum over the controls of weight x level factor x mask x feature.

    batch: the rows that it is for. like: a tensor of the device and precision wanted.
    Returns None when nothing is added: then the U-Net's output stays as it is, bit for bit.
    Raises AttachError when a control does not fit the batch or asks for a half of guidance that nobody can tell.
    Source: paper equation 6, F_c = sum_k w_k F_k(C_k).
    """
    values = [value for part in parts if (value := _value(part, level, batch)) is not None]
    if not values:
        return None
    first, *others = common(values, batch)
    for other in others:
        first = first + other
    first = first.to(device=like.device, dtype=like.dtype)
    divided = split(first, batch)
    return Addition(first[0, 0, 0] if divided is None else first, divided)


def _value(part: Part, level: int, batch: Batch) -> torch.Tensor | None:
    """One control's share, (guidance copies or 1, controls, 1, frames, channels, height, width), or None for none."""
    if level >= len(part.maps) or not part.control.level_weights[level]:
        return None
    value, weight = part.maps[level], part.control.level_weights[level]
    if weight != 1.0:
        value = value * weight
    if part.mask is not None:
        size = (value.shape[-2], value.shape[-1])
        value = value * mask_at(part.mask, size).to(device=value.device, dtype=value.dtype)
    value = lay(value, batch, part.control.name)
    if part.control.guidance == "both":
        return value
    if batch.conditional is None:
        raise AttachError(
            f"The {part.control.name} control acts on the conditional half of guidance, and this U-Net call does not "
            "tell its halves apart; attach to the pipeline, or use guidance='both'."
        )
    if all(batch.conditional):
        return value
    halves = torch.tensor(batch.conditional, device=value.device, dtype=value.dtype)
    return value * halves.view(-1, 1, 1, 1, 1, 1, 1)
