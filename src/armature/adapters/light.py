"""The light adapter: each level works at a fraction of its width."""

from __future__ import annotations

import torch
from torch import nn

from armature.adapters.base import Adapter, AdapterCard
from armature.adapters.features import Features
from armature.adapters.full import Downsample
from armature.adapters.spec import AdapterSpec


class LightAdapter(Adapter):
    """Pixel unshuffle, then one narrow stack of residual blocks per level; there is no stem convolution.

    Source: the authors' `Adapter_light`, released for colour; paper, table of adapter sizes ("small", "tiny").
    """

    def __init__(self, spec: AdapterSpec, card: AdapterCard) -> None:
        super().__init__(spec, card)
        self.unshuffle = nn.PixelUnshuffle(spec.stride)
        widths = (spec.stem_channels, *spec.channels)
        self.body = nn.ModuleList(
            LightLevel(widths[i], widths[i + 1], spec, down=down) for i, down in enumerate(spec.downs)
        )

    def features(self, x: torch.Tensor) -> Features:
        """(batch, in_channels, height, width) -> one map per level."""
        x = self.unshuffle(x)
        maps = []
        for level in self.body:
            x = level(x)
            maps.append(x)
        return Features(tuple(maps))


class LightLevel(nn.Module):
    """[Halve], 1x1 down to width / divisor, residual blocks there, 1x1 up. Source: the authors' `extractor`."""

    def __init__(self, in_width: int, width: int, spec: AdapterSpec, *, down: bool) -> None:
        super().__init__()
        narrow = width // spec.divisor
        self.down_opt = Downsample(in_width) if down else None
        self.in_conv = nn.Conv2d(in_width, narrow, 1)
        self.body = nn.Sequential(*(LightBlock(narrow) for _ in range(spec.blocks)))
        self.out_conv = nn.Conv2d(narrow, width, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(batch, in_width, height, width) -> (batch, width, same or half)."""
        if self.down_opt is not None:
            x = self.down_opt(x)
        return self.out_conv(self.body(self.in_conv(x)))


class LightBlock(nn.Module):
    """conv 3x3, ReLU, conv 3x3, plus the identity. Source: the authors' `ResnetBlock_light`."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.block1 = nn.Conv2d(width, width, 3, padding=1)
        self.act = nn.ReLU()
        self.block2 = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(batch, width, height, width), same shape out."""
        return x + self.block2(self.act(self.block1(x)))
