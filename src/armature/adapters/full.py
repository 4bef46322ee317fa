"""The full adapter of SD 1.x / 2.x, and that of SDXL, which differs only in its stem and where it halves."""

from __future__ import annotations

import torch
from torch import nn

from armature.adapters.base import Adapter, AdapterCard
from armature.adapters.features import Features
from armature.adapters.spec import AdapterSpec


class FullAdapter(Adapter):
    """Pixel unshuffle, a 3x3 convolution, then levels of residual blocks; the end of each level is a feature.

    "full" halves before every level but the first; "full_xl" before the third only (spec.downs).
    Source: paper section 3.3; the authors' `Adapter` and its SDXL branch.
    """

    def __init__(self, spec: AdapterSpec, card: AdapterCard) -> None:
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


class ResidualBlock(nn.Module):
    """[Halve], [change the width], then conv 3x3, ReLU, conv, plus the shortcut.

    Source: the authors' `ResnetBlock`; their published files all use kernel 1, pooling and the identity shortcut.
    """

    def __init__(self, in_width: int, width: int, spec: AdapterSpec, *, down: bool) -> None:
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


class Downsample(nn.Module):
    """Halve height and width, rounding up: the U-Net's stride-2 convolutions do, and features must match their size."""

    def __init__(self, width: int, *, convolve: bool = False) -> None:
        super().__init__()
        self.op = nn.Conv2d(width, width, 3, stride=2, padding=1) if convolve else nn.AvgPool2d(2, ceil_mode=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(batch, width, height, width) -> (batch, width, ceil(height / 2), ceil(width / 2))."""
        return self.op(x)
