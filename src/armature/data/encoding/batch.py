"""A batch of encoded samples: as it is stored, and as a step wants it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from armature.bases.text import TextStates
from armature.conditions.contract import InputContract
from armature.data.samples.sample import CroppedSample
from armature.errors import DatasetError


@dataclass(frozen=True, eq=False)
class EncodedBatch:
    """n encoded samples of one bucket, before anything random of a training step has happened to them.

    keys: their names. positions: (n,) int64, the number of each in the whole stream of samples since the first step,
    over all processes; randomness of a step derives from it alone.
    mean, std: (n, c, h, w) of the autoencoder's posterior, already scaled. text: of their captions.
    control: (n, channels, 8h, 8w) in the contract's range. time_ids: (n, 6) for SDXL (original, corner, target), else
    None. As it is stored, its numbers are of half precision, and control is (n, 1 or 3, 8h, 8w) uint8, red first.
    """

    keys: Sequence[str]
    positions: Tensor
    mean: Tensor
    std: Tensor
    text: TextStates
    control: Tensor
    time_ids: Tensor | None

    def pinned(self, device: torch.device) -> EncodedBatch:
        """The same in page-locked memory, from which a GPU copies while it computes; itself for other devices."""
        if device.type != "cuda":
            return self
        # Pinning opens a context on the thread's current GPU, which in a new thread is the first one.
        torch.cuda.set_device(device)
        pooled = None if self.text.pooled is None else self.text.pooled.pin_memory()
        return replace(
            self,
            mean=self.mean.pin_memory(),
            std=self.std.pin_memory(),
            text=TextStates(self.text.states.pin_memory(), pooled),
            control=self.control.pin_memory(),
            time_ids=None if self.time_ids is None else self.time_ids.pin_memory(),
        )

    def ready(self, contract: InputContract, device: torch.device) -> EncodedBatch:
        """A stored batch as a step wants it: on a device, all numbers in float32 (positions stay int64, on the CPU)."""
        return replace(
            self,
            mean=_there(self.mean, device),
            std=_there(self.std, device),
            text=float_states(self.text, device),
            control=control_tensor(self.control, contract, device),
            time_ids=None if self.time_ids is None else _there(self.time_ids, device),
        )


def float_states(text: TextStates, device: torch.device) -> TextStates:
    """Text states on a device, in float32."""
    return TextStates(_there(text.states, device), None if text.pooled is None else _there(text.pooled, device))


def control_tensor(control: Tensor, contract: InputContract, device: torch.device) -> Tensor:
    """Stored maps as the adapter takes them: (n, contract.channels, h, w) float32 in the contract's range.

    control: (n, 1 or 3, h, w) uint8, grey maps with one channel, coloured ones red first. Raises DatasetError for
    colour where the contract has one channel.
    """
    # In place: at 1024 pixels every copy of a batch of maps is tens of megabytes.
    values = _there(control, device).div_(255)
    if contract.order == "BGR" and values.shape[1] == 3:
        values = values.flip(1)
    low, high = contract.range
    if (low, high) != (0.0, 1.0):
        values.mul_(high - low).add_(low)
    if values.shape[1] == contract.channels:
        return values
    if values.shape[1] != 1:
        raise DatasetError(
            f"The control maps have {values.shape[1]} channels and the {contract.kind} adapter takes "
            f"{contract.channels}; prepare the cache again for this adapter."
        )
    return values.repeat(1, contract.channels, 1, 1)


def stack_controls(maps: Sequence[np.ndarray]) -> np.ndarray:
    """Maps (h, w) or (h, w, 3) uint8 of one size as (n, 1 or 3, h, w): one channel when all of them are grey."""
    if all(m.ndim == 2 or bool((m == m[..., :1]).all()) for m in maps):
        return np.stack([m if m.ndim == 2 else m[..., 0] for m in maps])[:, None]
    return np.stack([np.repeat(m[None], 3, 0) if m.ndim == 2 else m.transpose(2, 0, 1) for m in maps])


def time_ids_of(samples: Sequence[CroppedSample]) -> Tensor:
    """SDXL's size conditioning, (n, 6) int32: original (height, width), crop corner (top, left), target size."""
    rows = [[*sample.original, *sample.corner, *sample.target] for sample in samples]
    return torch.tensor(rows, dtype=torch.int32).reshape(-1, 6)


def _there(tensor: Tensor, device: torch.device) -> Tensor:
    # First the copy, in the small type; a pinned source does not wait for it.
    return tensor.to(device, non_blocking=True).float()
