"""HED: holistically-nested edges, with key names as in the published Apache-2.0 weights (ControlNetHED.pth).

Xie and Tu, "Holistically-Nested Edge Detection", ICCV 2015, in the RGB variant that ControlNet's authors retrained.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# Channels and convolutions of VGG-16's five stages.
STAGES = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))


class Stage(nn.Module):
    """Convolutions of one scale, and their edge map: (N, C, H, W) -> features (N, out, H, W), logits (N, 1, H, W)."""

    def __init__(self, channels_in: int, channels: int, count: int) -> None:
        super().__init__()
        widths = [channels_in] + [channels] * count
        self.convs = nn.ModuleList(nn.Conv2d(widths[i], channels, 3, padding=1) for i in range(count))
        self.projection = nn.Conv2d(channels, 1, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Features and edge logits of this scale."""
        for convolution in self.convs:
            x = F.relu(convolution(x))
        return x, self.projection(x)


class HED(nn.Module):
    """Soft edges of RGB pictures: (N, 3, H, W) in 0..255 -> (N, 1, H, W) in 0..1; 14.7 M parameters."""

    def __init__(self, stages: tuple[tuple[int, int], ...] = STAGES) -> None:
        super().__init__()
        self.norm = nn.Parameter(torch.zeros(1, 3, 1, 1))
        channels_in = 3
        for index, (channels, count) in enumerate(stages, start=1):
            self.add_module(f"block{index}", Stage(channels_in, channels, count))
            channels_in = channels
        self._count = len(stages)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) in 0..255 -> (N, 1, H, W) in 0..1: the mean of all scales' logits."""
        size = x.shape[-2:]
        x = x - self.norm
        edges = []
        for index in range(1, self._count + 1):
            if index > 1:
                x = F.max_pool2d(x, 2)
            x, edge = self.get_submodule(f"block{index}")(x)
            edges.append(F.interpolate(edge, size, mode="bilinear", align_corners=False))
        return torch.sigmoid(torch.stack(edges).mean(dim=0))
