"""The full adapter of SD 1.x / 2.x."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, cast

import torch
from torch import nn

from armature.adapters.base import AdapterCard, BaseShape
from armature.adapters.features import Features
from armature.adapters.keymap import KeyMap
from armature.adapters.networks.shapes import widths_at
from armature.adapters.networks.spatial import Downsample, SpatialAdapter, SpatialSpec, matching
from armature.adapters.readers import A1111, Reader
from armature.adapters.spec import AdapterSpec, Shapes
from armature.errors import CheckpointError

_BLOCK_WEIGHTS = r"body\.(\d+)\.block[12]\.(?:weight|bias)"


@dataclass(frozen=True)
class FullSpec(SpatialSpec):
    """The SD 1.x / 2.x adapter as published (77 M parameters), or one with other numbers.

    kernel: kernel size of everything in a block but its first 3x3 convolution.
    skep: a convolution instead of the identity as shortcut, and an input convolution in every block; the authors'
        spelling, and the key in their files.
    conv_down: stride-2 convolutions instead of average pooling between levels.
    """

    network = "full"

    kernel: int = 1
    skep: bool = False
    conv_down: bool = False

    def problems(self) -> list[str]:
        """An even kernel has no middle."""
        problems = super().problems()
        if self.kernel % 2 == 0 or self.kernel < 1:
            problems.append(f"kernel is {self.kernel}, expected an odd number, 1 or 3 in the authors' files")
        return problems


class FullAdapter(SpatialAdapter):
    """Pixel unshuffle, a 3x3 convolution, then levels of residual blocks; the end of each level is a feature.

    It halves before every level but the first (spec.downs).
    Source: paper section 3.3; the authors' `Adapter`.
    """

    spec_type: ClassVar[type[FullSpec]] = FullSpec  # pyright: ignore[reportIncompatibleVariableOverride]
    family = "sd"
    stem = "conv_in.weight"
    expects = "64 stem channels per picture channel (SD)"
    keys = KeyMap(
        (
            ("conv_in", "adapter.conv_in"),
            ("body.{flat}.in_conv", "adapter.body.{level}.in_conv"),
            ("body.{flat}.block1", "adapter.body.{level}.resnets.{block}.block1"),
            ("body.{flat}.block2", "adapter.body.{level}.resnets.{block}.block2"),
        )
    )
    diffusers_type = "full_adapter"
    usual_blocks = 2
    # Stem channels by which other programs take a full network for SDXL's, and whether it is.
    xl_stems = (256, 768)
    is_xl: ClassVar[bool] = False
    spec: FullSpec  # pyright: ignore[reportIncompatibleVariableOverride]

    def __init__(self, spec: FullSpec, card: AdapterCard) -> None:
        super().__init__(spec, card)
        self.unshuffle = nn.PixelUnshuffle(spec.stride)
        self.conv_in = nn.Conv2d(spec.stem_channels, spec.channels[0], kernel_size=3, padding=1)
        blocks: list[ResidualBlock] = []
        width = spec.channels[0]
        for level_width, down in zip(spec.channels, spec.downs, strict=True):
            for index in range(spec.blocks):
                blocks.append(ResidualBlock(width, level_width, spec, down=down and index == 0))
                width = level_width
        self.body = nn.ModuleList(blocks)

    def features(self, x: torch.Tensor) -> Features:
        """(batch, in_channels, height, width) -> one map per level."""
        x = self.conv_in(self.unshuffle(x))
        maps = []
        for index, block in enumerate(self.body):
            x = block(x)
            if (index + 1) % self.spec.blocks == 0:
                maps.append(x)
        return Features(tuple(maps))

    @classmethod
    def recognises(cls, shapes: Shapes) -> bool:
        """Blocks counted through all levels."""
        return matching(shapes, r"body\.\d+\.block[12]\.(weight|bias)") and not matching(
            shapes, r"body\.\d+\.(body\.\d+|out_conv)\..+"
        )

    @classmethod
    def candidates(cls, shapes: Shapes) -> list[AdapterSpec]:
        """Every number of blocks per level that divides them into levels of one width.

        Average pooling leaves no keys, so a full adapter of 12 (or 4) channels at stride 8 can have the very keys and
        shapes of an SDXL adapter of 3 (or 1) at stride 16; convolutions between levels tell them apart.
        """
        stride = cls.spec_type.stride
        widths, stem = widths_at(shapes, _BLOCK_WEIGHTS), shapes[cls.stem]
        if not widths or len(stem) != 4 or stem[1] % stride**2 or not stem[1]:
            return []
        total = len(widths)
        halved = {index for index in range(total) if f"body.{index}.down_opt.op.weight" in shapes}
        skep, kernel = "body.0.skep.weight" in shapes, shapes.get("body.0.block2.weight", (1,))[-1]
        specs: list[AdapterSpec] = []
        for blocks in (count for count in range(1, total + 1) if total % count == 0):
            channels = widths[::blocks]
            if any(widths[index] != channels[index // blocks] for index in range(total)):
                continue
            try:
                spec = cls.spec_type(stem[1] // stride**2, channels, blocks, stride, kernel, skep, bool(halved))
            except CheckpointError:
                continue
            if cls.halves_there(spec, halved):
                specs.append(spec)
        return specs

    @classmethod
    def halves_there(cls, spec: FullSpec, halved: set[int]) -> bool:
        """Whether a network halves before just those blocks for which the file has convolutions, if it has any."""
        return not halved or halved == {level * spec.blocks for level, down in enumerate(spec.downs) if down}

    @classmethod
    def usual(cls, spec: AdapterSpec) -> bool:
        """Every published file takes one or three channels."""
        return cast("SpatialSpec", spec).in_channels in (1, 3)

    @classmethod
    def layer_place(cls, layer: str, spec: AdapterSpec) -> str:
        """By level and block: the names count blocks through, whatever a level has of them."""
        if not layer.startswith("body."):
            return layer
        _, number, part = layer.split(".", 2)
        level, block = divmod(int(number), cast("SpatialSpec", spec).blocks)
        return f"level {level} block {block} {part}"

    @classmethod
    def spec_for(
        cls, base: BaseShape, *, channels: int, options: Mapping[str, int], start: AdapterSpec | None = None
    ) -> AdapterSpec:
        """The base's widths; as many blocks as `start` or the published files."""
        like = start if isinstance(start, cls.spec_type) else None
        blocks = options.get("blocks") or (like.blocks if like else cls.usual_blocks)
        # The first site of SDXL lies one halving down, and the stem must reach it at once.
        spec = cls.spec_type(channels, tuple(m.channels for m in base.maps), blocks, cls.stem_stride(base))
        if like is None:
            return spec
        return replace(spec, kernel=like.kernel, skep=like.skep, conv_down=like.conv_down)

    @classmethod
    def stem_stride(cls, base: BaseShape) -> int:
        """Pixels that the stem folds for a base: those of a cell of its latent."""
        return base.stride

    @classmethod
    def diffusers_obstacle(cls, spec: AdapterSpec) -> str | None:
        """The authors' variants that diffusers does not know."""
        full = cast("FullSpec", spec)
        if full.kernel != 1 or full.skep or full.conv_down:
            return "diffusers has no adapter with larger second kernels, skep shortcuts or convolutional downsampling"
        return None

    @classmethod
    def guessed(cls, program: str, spec: AdapterSpec) -> Reader:
        """They assume two blocks a level, widths c, 2c, 4c, 4c, and SDXL for 256 and 768 stem channels."""
        full = cast("FullSpec", spec)
        first = full.channels[0]
        odd = []
        if full.blocks != cls.usual_blocks:
            odd.append(
                f"{full.blocks} block{'s' if full.blocks > 1 else ''} a level where it builds {cls.usual_blocks}"
            )
        if full.channels != (first, 2 * first, 4 * first, 4 * first):
            odd.append(f"widths {list(full.channels)} where it builds c, 2c, 4c, 4c")
        if full.skep:
            odd.append("skep shortcuts, which it leaves out")
        if (full.stem_channels in cls.xl_stems) != cls.is_xl:
            odd.append(f"{full.in_channels} channels at stride {full.stride}, by which it mistakes the network")
        if not odd:
            return Reader(program, ("original", "diffusers"))
        silent = ", and it may load it wrong without a word" if program == A1111 else ""
        return Reader(program, (), f"it has {'; '.join(odd)}{silent}")


class ResidualBlock(nn.Module):
    """[Halve], [change the width], then conv 3x3, ReLU, conv, plus the shortcut.

    Source: the authors' `ResnetBlock`; their published files all use kernel 1, pooling and the identity shortcut.
    """

    def __init__(self, in_width: int, width: int, spec: FullSpec, *, down: bool) -> None:
        super().__init__()
        kernel, padding = spec.kernel, spec.kernel // 2
        self.down_opt = Downsample(in_width, convolve=spec.conv_down) if down else None
        # With `skep` the authors put an input convolution everywhere, even where the width stays.
        changes = in_width != width or spec.skep
        self.in_conv = nn.Conv2d(in_width, width, kernel, padding=padding) if changes else None
        self.block1 = nn.Conv2d(width, width, 3, padding=1)
        self.act = nn.ReLU()
        self.block2 = nn.Conv2d(width, width, kernel, padding=padding)
        self.skep = nn.Conv2d(width, width, kernel, padding=padding) if spec.skep else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(batch, in_width, height, width) -> (batch, width, same or half)."""
        if self.down_opt is not None:
            x = self.down_opt(x)
        if self.in_conv is not None:
            x = self.in_conv(x)
        shortcut = x if self.skep is None else self.skep(x)
        return self.block2(self.act(self.block1(x))) + shortcut
