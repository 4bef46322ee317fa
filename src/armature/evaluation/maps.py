"""Control maps as measures and people look at them: uint8, red first."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from armature.conditions.contract import InputContract


def control_map(control: Tensor, contract: InputContract) -> np.ndarray:
    """What an adapter sees, (channels, h, w) in the contract's range, as (h, w) or (h, w, 3) uint8, red first."""
    low, high = contract.range
    values = (control.detach().float().cpu().numpy().transpose(1, 2, 0) - low) / (high - low)
    pixels = np.round(np.clip(values, 0, 1) * 255).astype(np.uint8)
    if contract.order == "BGR":
        pixels = pixels[..., ::-1]
    return pixels[..., 0] if pixels.shape[2] == 1 else np.ascontiguousarray(pixels)


def grey(pixels: np.ndarray) -> np.ndarray:
    """A map's brightness, (h, w) uint8: the brightest channel of a coloured one, since its lines may be blue."""
    return pixels if pixels.ndim == 2 else pixels.max(axis=2)


def coloured(pixels: np.ndarray) -> np.ndarray:
    """A map with three channels, (h, w, 3) uint8; a grey one is repeated."""
    return np.repeat(pixels[..., None], 3, axis=2) if pixels.ndim == 2 else pixels
