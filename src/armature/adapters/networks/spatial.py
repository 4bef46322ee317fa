"""What the networks from a condition map to feature maps have in common: full, full_xl and light."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar, Self, cast

import torch
import torch.nn.functional as F
from torch import nn

from armature.adapters.base import Adapter, PreparedCondition
from armature.adapters.readers import A1111, COMFY, DIFFUSERS, INVOKE, Reader
from armature.adapters.region import Region, cut_out
from armature.adapters.spec import AdapterSpec, MapShape, Shapes, at_least_one
from armature.conditions.control_map import prepare_control, read_control
from armature.conditions.kinds import content_of
from armature.conditions.picture.fit import Fit
from armature.errors import ConditionError

SD_CHANNELS = (320, 640, 1280, 1280)
# The first format of our files states the fields of every spatial network; those that one lacks hold these values.
_FIELDS_OF_OTHERS: dict[str, Any] = {"kernel": 1, "skep": False, "conv_down": False, "divisor": 4}


@dataclass(frozen=True)
class SpatialSpec(AdapterSpec):
    """The numbers that all spatial networks have.

    in_channels: channels of the condition map, before the stem folds pixels into channels.
    channels: width of each level, finest first; they equal the U-Net encoder's widths.
    blocks: residual blocks per level.
    stride: pixels folded into one by the stem (8 for SD, 16 for SDXL); heights and widths are multiples of it.
    Source: paper section 3.3 and the authors' adapter modules.
    """

    in_channels: int = 3
    channels: tuple[int, ...] = SD_CHANNELS
    blocks: int = 2
    stride: int = 8

    def __post_init__(self) -> None:
        object.__setattr__(self, "channels", tuple(int(width) for width in self.channels))
        super().__post_init__()

    @property
    def levels(self) -> int:
        """Number of feature maps."""
        return len(self.channels)

    @property
    def downs(self) -> tuple[bool, ...]:
        """For each level, whether its input is halved first."""
        return tuple(level > 0 for level in range(self.levels))

    @property
    def maps(self) -> tuple[MapShape, ...]:
        """One map per level."""
        maps, stride = [], self.stride
        for width, down in zip(self.channels, self.downs, strict=True):
            stride *= 2 if down else 1
            maps.append(MapShape(width, stride))
        return tuple(maps)

    @property
    def size_multiple(self) -> int:
        """The stem's stride."""
        return self.stride

    @property
    def picture_channels(self) -> int:
        """Channels of the condition map."""
        return self.in_channels

    @property
    def stem_channels(self) -> int:
        """Channels after the stem has folded stride x stride pixels into one."""
        return self.in_channels * self.stride**2

    @property
    def reading(self) -> str:
        """Channels and stride."""
        return f"{self.in_channels} channels at stride {self.stride} ({self.network})"

    def problems(self) -> list[str]:
        """Numbers below 1 and missing widths; the networks add their own."""
        problems = at_least_one(self, "in_channels", "blocks", "stride")
        if not self.channels or min(self.channels) < 1:
            problems.append(f"channels are {list(self.channels)}, expected one positive width per level")
        return problems

    def contradiction(self, shapes: Shapes) -> str | None:
        """Too few tensors for the blocks, or another stem."""
        # A made-up number of blocks must not be built only to find that the keys are not there.
        if self.levels * self.blocks > len(shapes):
            return (
                f"holds {len(shapes)} tensors, but its config or metadata states {self.levels} levels of "
                f"{self.blocks} blocks; use the config that came with the weights."
            )
        stems = [shapes[name][1:2] for name in ("conv_in.weight", "body.0.in_conv.weight") if name in shapes]
        stem = stems[0] if stems else ()
        if stem != (self.stem_channels,):
            return (
                f"has {stem[0] if stem else 0} stem channels in its weights, but its config or metadata states "
                f"{self.in_channels} channels at stride {self.stride}, which make {self.stem_channels}. "
                "The folder mixes two adapters; use the config that came with the weights."
            )
        return None

    @classmethod
    def from_fields(cls, values: Mapping[str, Any]) -> Self:
        """Fields of other spatial networks are dropped where they say nothing."""
        own = {field.name for field in fields(cls)}
        idle = {name for name, value in _FIELDS_OF_OTHERS.items() if name not in own and values.get(name) == value}
        return super().from_fields({name: value for name, value in values.items() if name not in idle})


class SpatialAdapter(Adapter, ABC):
    """A network from a condition map to one feature map per level.

    usual_blocks: residual blocks per level of the published files.
    """

    takes = "condition map"
    usual_blocks: ClassVar[int]
    spec_type: ClassVar[type[SpatialSpec]]  # pyright: ignore[reportIncompatibleVariableOverride]
    spec: SpatialSpec

    def check(self, x: torch.Tensor) -> None:
        """Rank, channels, and sides that are multiples of the stem's stride."""
        stride, channels = self.spec.stride, self.spec.in_channels
        if x.ndim != 4:
            raise ConditionError(
                f"The condition map has shape {tuple(x.shape)}; expected (batch, {channels}, height, width)."
            )
        if x.shape[1] != channels:
            raise ConditionError(
                f"The condition map has {x.shape[1]} channels; this adapter takes {channels}. Convert the map first."
            )
        height, width = x.shape[2:]
        if height % stride or width % stride:
            raise ConditionError(
                f"The condition map is {width}x{height} pixels; this adapter needs multiples of {stride}. "
                "Pad or resize it, or attach the adapter, which pads by itself."
            )

    def read(self, picture: Any) -> tuple[Any, tuple[str, ...]]:
        """Files are read now, since they may change or vanish later; everything is tried against the contract."""
        notes: tuple[str, ...] = ()
        if isinstance(picture, (str, Path)):
            pixels = read_control(picture, self.contract)
            picture, notes = pixels.values, pixels.notes
        prepare_control(picture, self.contract)
        return picture, notes

    def prepare(
        self,
        pictures: Sequence[Any],
        size: tuple[int, int],
        region: Region | None = None,
        fit: Fit = "stretch",
    ) -> PreparedCondition:
        """The pictures under the contract at that size; its right and lower edges are continued to whole strides."""
        contract = self.contract
        if region is None:
            prepared = prepare_control(list(pictures), contract, size=(size[1], size[0]), fit=fit)
            tensor, notes = prepared.tensor, prepared.notes
        else:
            # A box in which nothing is drawn is no fault: the drawing may lie beside it.
            prepared = prepare_control(list(pictures), contract, size=region.picture, fit=fit)
            low, high = contract.range
            part = cut_out((prepared.tensor - low) / (high - low), region, size, content_of(contract))
            tensor, notes = part * (high - low) + low, (*prepared.notes, f"Cut like the picture: {region}.")
        stride = self.spec.stride
        needed = (-(-size[0] // stride) * stride, -(-size[1] // stride) * stride)
        if needed == size:
            return PreparedCondition(tensor, size, notes)
        padded = F.pad(tensor, (0, needed[1] - size[1], 0, needed[0] - size[0]), mode="replicate")
        note = (
            f"Padded from {size[1]} x {size[0]} to {needed[1]} x {needed[0]} px, multiples of the adapter's {stride}."
        )
        return PreparedCondition(padded, needed, (*notes, note))

    @classmethod
    def empty_condition(cls, spec: AdapterSpec, count: int, size: tuple[int, int], dtype: torch.dtype) -> torch.Tensor:
        """(count, in_channels, height, width), uninitialised."""
        return torch.empty(count, cast("SpatialSpec", spec).in_channels, *size, dtype=dtype)

    @classmethod
    def diffusers_names(cls, names: Sequence[str], spec: AdapterSpec) -> dict[str, str]:
        """By the key map."""
        spatial = cast("SpatialSpec", spec)
        assert cls.keys is not None  # every spatial network has its table
        return cls.keys.to_diffusers(names, spatial.levels, spatial.blocks)

    @classmethod
    def to_diffusers(cls, spec: AdapterSpec) -> dict[str, Any]:
        """diffusers' config of the same numbers."""
        spatial = cast("SpatialSpec", spec)
        return {
            "adapter_type": cls.diffusers_type,
            "channels": list(spatial.channels),
            "downscale_factor": spatial.stride,
            "in_channels": spatial.in_channels,
            "num_res_blocks": spatial.blocks,
        }

    @classmethod
    def from_diffusers(cls, config: Mapping[str, Any]) -> AdapterSpec | None:
        """The numbers of diffusers' config."""
        if config["adapter_type"] != cls.diffusers_type:
            return None
        return cls.spec_type(
            in_channels=int(config["in_channels"]),
            channels=tuple(config["channels"]),
            blocks=int(config["num_res_blocks"]),
            stride=int(config["downscale_factor"]),
        )

    @classmethod
    def readers(cls, spec: AdapterSpec) -> tuple[Reader, ...]:
        """diffusers and InvokeAI build any numbers from the config; the others guess them from a few tensors."""
        folder = cls.diffusers_obstacle(spec)
        by_config = [
            Reader(program, (), folder)
            if folder is not None
            else Reader(program, ("diffusers",), "it reads adapters as a diffusers folder only; convert it")
            for program in (DIFFUSERS, INVOKE)
        ]
        return (*by_config, cls.guessed(COMFY, spec), cls.guessed(A1111, spec))

    @classmethod
    @abstractmethod
    def guessed(cls, program: str, spec: AdapterSpec) -> Reader:
        """What a program makes of the weights that builds the network from a few tensors alone."""


def matching(shapes: Shapes, pattern: str) -> bool:
    """Whether the name of some tensor matches."""
    expression = re.compile(pattern)
    return any(expression.fullmatch(name) for name in shapes)


class Downsample(nn.Module):
    """Halve height and width, rounding up: the U-Net's stride-2 convolutions do, and features must match their size."""

    def __init__(self, width: int, *, convolve: bool = False) -> None:
        super().__init__()
        self.op = nn.Conv2d(width, width, 3, stride=2, padding=1) if convolve else nn.AvgPool2d(2, ceil_mode=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(batch, width, height, width) -> (batch, width, ceil(height / 2), ceil(width / 2))."""
        return self.op(x)
