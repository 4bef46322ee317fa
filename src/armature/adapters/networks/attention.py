"""The transformer layer of the style adapter and of the fuser."""

from __future__ import annotations

import re

import torch
from torch import nn

from armature.adapters.spec import Shapes

# The authors' spelling, and the key in their files.
LAYERS = "transformer_layes"


class QuickGELU(nn.Module):
    """x * sigmoid(1.702 x), as CLIP has it."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Same shape out."""
        return x * torch.sigmoid(1.702 * x)


class TransformerLayer(nn.Module):
    """Norm, attention, shortcut; norm, MLP of four times the width, shortcut. Source: CLIP's residual block."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attn = nn.MultiheadAttention(width, heads, batch_first=True)
        self.ln_1 = nn.LayerNorm(width)
        self.mlp = nn.Sequential()
        self.mlp.add_module("c_fc", nn.Linear(width, 4 * width))
        self.mlp.add_module("gelu", QuickGELU())
        self.mlp.add_module("c_proj", nn.Linear(4 * width, width))
        self.ln_2 = nn.LayerNorm(width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(batch, tokens, width), same shape out."""
        normed = self.ln_1(x)
        x = x + self.attn(normed, normed, normed, need_weights=False)[0]
        return x + self.mlp(self.ln_2(x))


def layer_count(shapes: Shapes) -> int:
    """How many layers the tensors have, from the highest index that is possible."""
    indices = [int(match[1]) for name in shapes if (match := re.match(rf"{LAYERS}\.(\d{{1,6}})\.", name))]
    return min(max(indices, default=-1) + 1, len(shapes))


def head_problems(width: int, heads: int) -> list[str]:
    """What is wrong with a number of heads, in words."""
    if heads >= 1 and width >= 1 and width % heads:
        return [f"width is {width}, expected a multiple of the {heads} heads"]
    return []
