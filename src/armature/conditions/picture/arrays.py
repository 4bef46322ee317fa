"""NumPy arrays and tensors as pictures: which axis is what, and which values mean white."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, TypeGuard

from armature.errors import ConditionError

if TYPE_CHECKING:
    import numpy as np
    import torch

_PICTURE_CHANNELS = (1, 3, 4)


def is_tensor(source: Any) -> TypeGuard[torch.Tensor]:
    """Whether the source is a torch tensor; asks without importing torch."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(source, torch.Tensor)


def array_values(array: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """A copy of the array as float32 in 0..1, and notes on what was done; its shape stays.

    uint8 is divided by 255, uint16 by 65535, bool becomes 0 and 1, floats are taken as they are.
    Raises ConditionError for an empty array, for NaN or infinity, for floats outside 0..1 and for other types,
    whose white point cannot be known.
    """
    import numpy as np

    if array.size == 0:
        raise ConditionError(f"The array is empty: its shape is {array.shape}.")
    if array.dtype == np.uint8:
        return array.astype(np.float32) / np.float32(255), ()
    if array.dtype == np.uint16:
        return array.astype(np.float32) / np.float32(65535), sixteen_bit_notes(int(array.max()))
    if array.dtype == np.bool_:
        return array.astype(np.float32), ()
    if not np.issubdtype(array.dtype, np.floating):
        raise ConditionError(
            f"An array of type {array.dtype} has no clear white point; give uint8 (0..255), uint16 (0..65535), "
            "bool, or floats in 0..1."
        )
    if not np.isfinite(array).all():
        raise ConditionError("The picture holds NaN or infinite values; replace them before using it.")
    low, high = float(array.min()), float(array.max())
    if low < -1e-4 or high > 1 + 1e-4:
        raise ConditionError(float_range_message(low, high))
    return np.clip(array.astype(np.float32), 0.0, 1.0), ()


def float_range_message(low: float, high: float) -> str:
    """What to tell about floats outside 0..1, by the range that they have."""
    found = f"Floats from {low:.4g} to {high:.4g} are not a picture in 0..1"
    if -1 - 1e-4 <= low < 0 and high <= 1 + 1e-4:
        return f"{found}; if the range is -1..1, pass (values + 1) / 2."
    if low >= 0 and high <= 255:
        return f"{found}; if the range is 0..255, convert to uint8."
    return f"{found}; high-dynamic-range and metric data must be mapped to 0..1 first."


def sixteen_bit_notes(brightest: int) -> tuple[str, ...]:
    """Notes for 16-bit data: dark ones are told, because many depth files use little of the range."""
    if 0 < brightest < 65535 // 4:
        return (
            f"16-bit picture: 65535 was taken as white, but its brightest value is {brightest}; it will look dark.",
        )
    return ()


def channels_last(shape: tuple[int, ...], *, prefer_first: bool) -> bool:
    """Whether a (H, W, C) or (C, H, W) shape has its channels last.

    prefer_first: tensors put channels first, so a first axis of 1, 3 or 4 decides for them.
    Raises ConditionError when both or neither end could be channels.
    """
    first, last = shape[0] in _PICTURE_CHANNELS, shape[-1] in _PICTURE_CHANNELS
    if first and prefer_first:
        return False
    if first and last:
        raise ConditionError(
            f"An array of shape {shape} is ambiguous: channels could be first or last. "
            "Pass a PIL picture, or an array whose height and width are above 4."
        )
    if not first and not last:
        raise ConditionError(
            f"An array of shape {shape} has no channel axis of 1, 3 or 4; "
            "expected (height, width), (height, width, channels) or (channels, height, width)."
        )
    return last


def array_to_hwc(source: Any) -> tuple[np.ndarray, tuple[str, ...]]:
    """One picture given as array or tensor, as float32 (height, width, channels) in 0..1, with notes.

    source: (H, W), (H, W, C), (C, H, W), or these with a leading axis of 1; C is 1, 3 or 4.
    Raises ConditionError when shape, type or range leave the meaning open.
    """
    import numpy as np

    tensor = is_tensor(source)
    array = tensor_to_numpy(source) if tensor else np.asarray(source)
    if array.ndim == 4 and array.shape[0] == 1:
        array = array[0]
    if array.ndim not in (2, 3):
        raise ConditionError(
            f"An array of shape {array.shape} is not one picture; expected (height, width), "
            "(height, width, channels) or (channels, height, width)."
        )
    values, notes = array_values(array)
    if values.ndim == 2:
        return values[..., None], notes
    if not channels_last(values.shape, prefer_first=tensor):
        values = np.ascontiguousarray(values.transpose(1, 2, 0))
    return values, notes


def tensor_to_numpy(tensor: torch.Tensor) -> np.ndarray:
    """The tensor's values in NumPy, detached, on the CPU; half precisions become float32."""
    import torch

    tensor = tensor.detach().cpu()
    return (tensor.to(torch.float32) if tensor.is_floating_point() else tensor).numpy()
