"""What an adapter network is made of: every structural choice, resolved and checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

from armature.errors import CheckpointError

Network = Literal["full", "full_xl", "light"]

SD_CHANNELS = (320, 640, 1280, 1280)

# The level before which the SDXL adapter halves its maps, the only one.
_XL_DOWN_LEVEL = 2


@dataclass(frozen=True)
class AdapterSpec:
    """The structure of one adapter; two adapters with equal specs have equal keys and shapes.

    network: "full" (SD 1.x / 2.x), "full_xl" (SDXL) or "light" (the authors' colour adapter).
    in_channels: channels of the condition map, before the stem folds pixels into channels.
    channels: width of each level, finest first; they equal the U-Net encoder's widths.
    blocks: residual blocks per level.
    stride: pixels folded into one by the stem (8 for SD, 16 for SDXL); heights and widths are multiples of it.
    kernel: kernel size of everything in a block but its first 3x3 convolution (full networks only).
    skep: a convolution instead of the identity as shortcut, and an input convolution in every block (full only).
    conv_down: stride-2 convolutions instead of average pooling between levels (full only).
    divisor: a light level works at its width divided by this (4 as released, 8 for the paper's tiny one).
    Raises CheckpointError when the values do not describe a network.
    Source: paper section 3.3 and the authors' adapter modules; `skep` is their spelling, and the key in their files.
    """

    network: Network
    in_channels: int
    channels: tuple[int, ...]
    blocks: int
    stride: int
    kernel: int = 1
    skep: bool = False
    conv_down: bool = False
    divisor: int = 4

    def __post_init__(self) -> None:
        object.__setattr__(self, "channels", tuple(int(width) for width in self.channels))
        problems = _problems(self)
        if problems:
            raise CheckpointError(f"This is no adapter network: {'; '.join(problems)}.")

    @property
    def levels(self) -> int:
        """Number of feature maps."""
        return len(self.channels)

    @property
    def downs(self) -> tuple[bool, ...]:
        """For each level, whether its input is halved first."""
        if self.network == "full_xl":
            return tuple(level == _XL_DOWN_LEVEL for level in range(self.levels))
        return tuple(level > 0 for level in range(self.levels))

    @property
    def level_strides(self) -> tuple[int, ...]:
        """For each level, how many pixels of the condition map make one of its feature map, per side."""
        strides, stride = [], self.stride
        for down in self.downs:
            stride *= 2 if down else 1
            strides.append(stride)
        return tuple(strides)

    @property
    def stem_channels(self) -> int:
        """Channels after the stem has folded stride x stride pixels into one."""
        return self.in_channels * self.stride**2

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON-ready values."""
        return {**asdict(self), "channels": list(self.channels)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> AdapterSpec:
        """The spec written by to_dict; raises CheckpointError on missing or unknown fields."""
        known = {field.name for field in fields(cls)}
        required = {"network", "in_channels", "channels", "blocks", "stride"}
        if unknown := sorted(set(values) - known):
            raise CheckpointError(f"Unknown fields in an adapter spec: {unknown}; expected some of {sorted(known)}.")
        if missing := sorted(required - set(values)):
            raise CheckpointError(f"Fields missing from an adapter spec: {missing}; write all of {sorted(required)}.")
        return cls(**values)


def full_spec(
    in_channels: int = 3,
    channels: Sequence[int] = SD_CHANNELS,
    *,
    blocks: int = 2,
    stride: int = 8,
    kernel: int = 1,
    skep: bool = False,
    conv_down: bool = False,
) -> AdapterSpec:
    """The SD 1.x / 2.x adapter as published, or one with other numbers (77 M parameters as it stands)."""
    return AdapterSpec("full", in_channels, tuple(channels), blocks, stride, kernel, skep, conv_down)


def full_xl_spec(
    in_channels: int = 3,
    channels: Sequence[int] = SD_CHANNELS,
    *,
    blocks: int = 2,
    stride: int = 16,
    kernel: int = 1,
    skep: bool = False,
    conv_down: bool = False,
) -> AdapterSpec:
    """The SDXL adapter as published, or one with other numbers (79 M parameters as it stands)."""
    return AdapterSpec("full_xl", in_channels, tuple(channels), blocks, stride, kernel, skep, conv_down)


def light_spec(
    in_channels: int = 3,
    channels: Sequence[int] = SD_CHANNELS,
    *,
    blocks: int = 4,
    stride: int = 8,
    divisor: int = 4,
) -> AdapterSpec:
    """The light adapter as released for colour (18.7 M parameters); divisor 8 is the paper's tiny one (5.1 M)."""
    return AdapterSpec("light", in_channels, tuple(channels), blocks, stride, divisor=divisor)


def _problems(spec: AdapterSpec) -> list[str]:
    """Everything wrong with a spec, in words."""
    found = []
    if spec.network not in get_args(Network):
        found.append(f"network is {spec.network!r}, expected one of {list(get_args(Network))}")
    for name in ("in_channels", "blocks", "stride", "divisor"):
        if (value := getattr(spec, name)) < 1:
            found.append(f"{name} is {value}, expected at least 1")
    if not spec.channels or min(spec.channels) < 1:
        found.append(f"channels are {list(spec.channels)}, expected one positive width per level")
    if spec.kernel % 2 == 0 or spec.kernel < 1:
        found.append(f"kernel is {spec.kernel}, expected an odd number, 1 or 3 in the authors' files")
    if spec.network == "light":
        if spec.kernel != 1 or spec.skep or spec.conv_down:
            found.append("kernel, skep and conv_down belong to the full networks, leave them out for a light one")
        if uneven := [width for width in spec.channels if spec.divisor > 0 and width % spec.divisor]:
            found.append(f"widths {uneven} are not multiples of the divisor {spec.divisor}")
    if spec.network == "full_xl":
        # The authors' SDXL network has an input convolution at its second and third level only.
        late = [i for i in range(_XL_DOWN_LEVEL + 1, spec.levels) if spec.channels[i] != spec.channels[i - 1]]
        if late:
            found.append(f"SDXL widths {list(spec.channels)} change after the third level, which they cannot")
    return found
