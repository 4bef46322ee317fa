"""Where a control acts: masks, read from anything and brought to the size of each level."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from armature.conditions.picture.arrays import array_values, is_tensor, tensor_to_numpy
from armature.conditions.picture.fit import Fit, fit_values
from armature.conditions.picture.reading import read_pixels
from armature.errors import AttachError


def read_masks(source: Any) -> torch.Tensor:
    """Read one mask, or a list of them of one size.

    source: path, PIL picture, array or tensor (H, W), (H, W, 1), (1, H, W) or a batch (N, 1, H, W) or (N, H, W), bool,
    uint8 or float 0..1.
    Returns (N, 1, H, W) float32 in 0..1, 1 where the control acts.
    Raises AttachError for other shapes and masks that are black everywhere, ConditionError for unreadable pictures and
    values outside 0..1.
    """
    masks = [_read(one) for one in source] if isinstance(source, (list, tuple)) else [_read(source)]
    if not masks or len({mask.shape[-2:] for mask in masks}) > 1:
        sizes = [tuple(mask.shape[-2:]) for mask in masks]
        raise AttachError(f"A list of masks needs at least one, all of one size; found sizes {sizes}.")
    stacked = torch.cat(masks)
    if not stacked.any():
        raise AttachError("The mask is black everywhere: its control would act nowhere. Paint white where it may act.")
    return stacked


def fitted_masks(masks: torch.Tensor, size: tuple[int, int], fit: Fit) -> torch.Tensor:
    """Masks (N, 1, H, W) over a picture of (height, width) pixels, fitted as their control is; 0 around padded ones.

    Stretched ones stay as they are: `mask_at` brings them to any size. Raises AttachError when all white is cut off.
    """
    if fit == "stretch":
        return masks
    fitted = [fit_values(one.permute(1, 2, 0).contiguous().numpy(), size, fit) for one in masks]
    stacked = torch.from_numpy(np.stack(fitted)).permute(0, 3, 1, 2).contiguous()
    if not stacked.any():
        raise AttachError(
            f"Nothing white of the mask is left in {size[1]} x {size[0]} px, so its control would act nowhere; use "
            "another size or another fit."
        )
    return stacked


def mask_at(mask: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """The mask at a level of the given height and width: each cell gets the average of what it covers."""
    return F.interpolate(mask, size=size, mode="area")


def _read(source: Any) -> torch.Tensor:
    """One source as (N, 1, H, W) float32."""
    array = tensor_to_numpy(source) if is_tensor(source) else source
    if isinstance(array, np.ndarray):
        values = torch.from_numpy(array_values(array)[0])
    else:
        # Painted masks come in any colour; what counts is how bright they are.
        values = torch.from_numpy(read_pixels(source).values.max(axis=-1))
    shape = tuple(values.shape)
    if values.ndim == 3 and shape[-1] == 1:
        values = values[..., 0]
    if values.ndim == 4 and shape[1] == 1:
        values = values[:, 0]
    if values.ndim == 2:
        values = values[None]
    if values.ndim != 3:
        raise AttachError(f"A mask has shape {shape}; expected (height, width), or (count, height, width).")
    return values[:, None]
