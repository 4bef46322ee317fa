"""Composition: the weighted, masked sum of what several controls add at one site, and their tokens side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from armature.adapters.features import Features
from armature.errors import AttachError
from armature.injection.context import ContextAddition
from armature.injection.control import Control
from armature.injection.hooks import Addition
from armature.injection.layout import CONTROLS, BatchLayout, broadcast, common, split
from armature.injection.mask import mask_at


@dataclass(frozen=True)
class ControlFeatures:
    """One control with its features.

    features: maps (pictures, channels, height, width), one per level, and tokens (pictures, count, width) or None.
    mask: (pictures or 1, 1, height, width) in 0..1, or None.
    """

    control: Control
    features: Features
    mask: torch.Tensor | None = None


def mix(parts: Sequence[ControlFeatures], level: int, batch: BatchLayout, like: torch.Tensor) -> Addition | None:
    """What site `level` adds: sum over the controls of weight x level factor x mask x feature.

    batch: the rows that it is for. like: a tensor of the device and precision wanted.
    Returns None when nothing is added: then the U-Net's output stays as it is, bit for bit.
    Raises AttachError when a control does not fit the batch or asks for a half of guidance that nobody can tell.
    Source: paper equation 6, F_c = sum_k w_k F_k(C_k).
    """
    values = [value for part in parts if (value := _map_value(part, level, batch)) is not None]
    if not values:
        return None
    first, *others = common(values, batch)
    for other in others:
        first = first + other
    first = first.to(device=like.device, dtype=like.dtype)
    divided = split(first, batch)
    return Addition(first[0, 0, 0] if divided is None else first, divided)


def mix_tokens(parts: Sequence[ControlFeatures], batch: BatchLayout, rows: int) -> tuple[ContextAddition, ...]:
    """What is appended to the text context: weight x tokens of every control that gives some, in their order.

    rows: of the context, which for video has one per frame, or one per video.
    Raises AttachError like `mix`.
    """
    additions = []
    for part in parts:
        tokens, weight = part.features.tokens, part.control.weight
        if tokens is None or not weight:
            continue
        value = broadcast(tokens if weight == 1.0 else tokens * weight, batch, part.control.name)
        controls, frames = value.shape[CONTROLS], rows // (batch.copies * batch.images)
        if value.shape[:4] == (1, 1, 1, 1):
            laid = value[0, 0, 0]
        else:
            whole = (batch.copies, controls, batch.images // controls, frames)
            if value.shape[3] not in (1, frames) or frames * batch.copies * batch.images != rows:
                raise AttachError(
                    f"The {part.control.name} control has a picture per frame, and this pipeline has one text for all "
                    "frames; give one picture."
                )
            laid = value.expand(*whole, *value.shape[4:]).reshape(rows, *value.shape[4:])
        halves = _halves(part.control, batch)
        own = None if halves is None else torch.tensor(halves).repeat_interleave(rows // len(halves))
        additions.append(ContextAddition(laid, own))
    return tuple(additions)


def _map_value(part: ControlFeatures, level: int, batch: BatchLayout) -> torch.Tensor | None:
    """One control's share, (guidance copies or 1, controls, 1, frames, channels, height, width), or None for none."""
    maps = part.features.maps
    if level >= len(maps) or not part.control.level_weights[level]:
        return None
    value, weight = maps[level], part.control.level_weights[level]
    if weight != 1.0:
        value = value * weight
    if part.mask is not None:
        size = (value.shape[-2], value.shape[-1])
        value = value * mask_at(part.mask, size).to(device=value.device, dtype=value.dtype)
    value = broadcast(value, batch, part.control.name)
    halves = _halves(part.control, batch)
    if halves is None:
        return value
    return value * torch.tensor(halves, device=value.device, dtype=value.dtype).view(-1, 1, 1, 1, 1, 1, 1)


def _halves(control: Control, batch: BatchLayout) -> tuple[bool, ...] | None:
    """The guidance copies on which a control acts, or None for all of them."""
    if control.guidance_half == "both":
        return None
    if batch.conditional is None:
        raise AttachError(
            f"The {control.name} control acts on the conditional half of guidance, and this U-Net call does not "
            "tell its halves apart; attach to the pipeline, or use guidance_half='both'."
        )
    return None if all(batch.conditional) else batch.conditional
