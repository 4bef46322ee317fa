"""PiDiNet: edges by pixel-difference convolutions, with key names as in its published weights.

Su et al., "Pixel Difference Networks for Efficient Edge Detection", ICCV 2021: the "table5" model (carv4, 60 channels,
with the compact dilation and attention modules).
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Difference = Literal["cd", "ad", "rd", "cv"]

WIDTH = 60
_DILATION_WIDTH = 24
# carv4: central, angular, radial difference, plain; over and over through the 16 layers.
_PATTERN: tuple[Difference, ...] = ("cd", "ad", "rd", "cv")
# Angular: each of the 3 x 3 taps minus its clockwise neighbour; the middle minus itself.
_CLOCKWISE = (3, 0, 1, 6, 4, 2, 7, 8, 5)
# Radial: eight taps on the 5 x 5 rim minus their partners on the inner ring, both row by row; they are taps 1 to 8 of
# the published weights, whose tap 0 is unused.
_RIM = (0, 2, 4, 10, 14, 20, 22, 24)
_RING = (6, 7, 8, 11, 13, 16, 17, 18)


class DifferenceConv(nn.Module):
    """A 3 x 3 convolution of pixel differences, folded into its kernel: (N, C, H, W) -> (N, out, H, W)."""

    def __init__(self, kind: Difference, channels_in: int, channels_out: int, groups: int = 1) -> None:
        super().__init__()
        self.kind: Difference = kind
        self.groups = groups
        self.weight = nn.Parameter(torch.empty(channels_out, channels_in // groups, 3, 3))
        nn.init.kaiming_uniform_(self.weight, a=5**0.5)

    def kernel(self) -> Tensor:
        """The plain convolution kernel that computes the differences: 3 x 3, or 5 x 5 for the radial kind."""
        flat = self.weight.flatten(2)
        if self.kind == "cd":
            centre = torch.zeros_like(flat)
            centre[..., 4] = flat.sum(-1)
            return (flat - centre).view_as(self.weight)
        if self.kind == "ad":
            return (flat - flat[..., list(_CLOCKWISE)]).view_as(self.weight)
        if self.kind == "rd":
            wide = flat.new_zeros(*flat.shape[:2], 25)
            wide[..., list(_RIM)] = flat[..., 1:]
            wide[..., list(_RING)] = -flat[..., 1:]
            return wide.unflatten(-1, (5, 5))
        return self.weight

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, out, H, W)."""
        kernel = self.kernel()
        return F.conv2d(x, kernel, padding=kernel.shape[-1] // 2, groups=self.groups)


class Block(nn.Module):
    """Depth-wise difference convolution, ReLU, 1 x 1; with a shortcut. A block of stride 2 pools first."""

    def __init__(self, kind: Difference, channels_in: int, channels_out: int, stride: int = 1) -> None:
        super().__init__()
        self.stride = stride
        if stride > 1:
            self.shortcut = nn.Conv2d(channels_in, channels_out, 1)
        self.conv1 = DifferenceConv(kind, channels_in, channels_in, groups=channels_in)
        self.conv2 = nn.Conv2d(channels_in, channels_out, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, out, H / stride, W / stride)."""
        if self.stride > 1:
            x = F.max_pool2d(x, 2)
        y = self.conv2(F.relu(self.conv1(x)))
        return y + (self.shortcut(x) if self.stride > 1 else x)


def _dilated(channels: int, reach: int) -> nn.Conv2d:
    return nn.Conv2d(channels, channels, 3, padding=reach, dilation=reach, bias=False)


class Dilations(nn.Module):
    """Four dilated views of one level, summed (the paper's CDCM): (N, C, H, W) -> (N, 24, H, W)."""

    def __init__(self, channels_in: int, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 1)
        self.conv2_1 = _dilated(channels, 5)
        self.conv2_2 = _dilated(channels, 7)
        self.conv2_3 = _dilated(channels, 9)
        self.conv2_4 = _dilated(channels, 11)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, 24, H, W)."""
        x = self.conv1(F.relu(x))
        return self.conv2_1(x) + self.conv2_2(x) + self.conv2_3(x) + self.conv2_4(x)


class Attention(nn.Module):
    """A gain per pixel (the paper's CSAM): (N, C, H, W) -> (N, C, H, W)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 4, 1)
        self.conv2 = nn.Conv2d(4, 1, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        return x * torch.sigmoid(self.conv2(self.conv1(F.relu(x))))


class Reduce(nn.Module):
    """One level to one edge map: (N, C, H, W) -> (N, 1, H, W)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, 1, H, W)."""
        return self.conv(x)


class PiDiNet(nn.Module):
    """Edge strength of RGB pictures in 0..1: (N, 3, H, W) -> (N, 1, H, W) in 0..1; 0.7 M parameters."""

    def __init__(self, width: int = WIDTH) -> None:
        super().__init__()
        widths = (width, 2 * width, 4 * width, 4 * width)
        self.init_block = DifferenceConv("cd", 3, width)
        layer = 1
        self._levels: list[list[str]] = []
        channels = width
        for level, level_width in enumerate(widths, start=1):
            names = []
            # The first level's first layer is init_block.
            for index in range(1, 4 if level == 1 else 5):
                stride = 2 if level > 1 and index == 1 else 1
                block = Block(_PATTERN[layer % 4], channels, level_width, stride)
                self.add_module(f"block{level}_{index}", block)
                names.append(f"block{level}_{index}")
                channels = level_width
                layer += 1
            self._levels.append(names)
        self.dilations = nn.ModuleList(Dilations(channels, _DILATION_WIDTH) for channels in widths)
        self.attentions = nn.ModuleList(Attention(_DILATION_WIDTH) for _ in widths)
        self.conv_reduces = nn.ModuleList(Reduce(_DILATION_WIDTH) for _ in widths)
        self.classifier = nn.Conv2d(4, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) in 0..1 -> (N, 1, H, W) in 0..1."""
        size = x.shape[-2:]
        x = self.init_block(x)
        edges = []
        heads = zip(self._levels, self.dilations, self.attentions, self.conv_reduces, strict=True)
        for names, dilations, attention, reduce in heads:
            for name in names:
                x = self.get_submodule(name)(x)
            edge = reduce(attention(dilations(x)))
            edges.append(F.interpolate(edge, size, mode="bilinear", align_corners=False))
        return torch.sigmoid(self.classifier(torch.cat(edges, dim=1)))
