"""An adapter network of one's own, trained, saved, loaded and drawn with: python examples/add_network.py [STEPS].

A network of Armature's own is such a class in a file of src/armature/adapters/networks, and its name in the tuple of
src/armature/adapters/registry.py.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import nn

import armature
from armature.adapters.base import AdapterCard, BaseShape
from armature.adapters.features import Features
from armature.adapters.networks.spatial import SpatialAdapter, SpatialSpec
from armature.adapters.readers import Reader
from armature.adapters.registry import NETWORKS
from armature.adapters.spec import AdapterSpec, Shapes
from armature.embedded.paths import DRAWINGS


@dataclass(frozen=True)
class PlainSpec(SpatialSpec):
    """Its structure: channels in, one width a level, stride of the stem; `blocks` convolutions a level."""

    network = "plain"

    blocks: int = 1

    def contradiction(self, shapes: Shapes) -> str | None:
        """Whether a file's tensors cannot be of this structure: another stem than the one that is stated."""
        found, stated = shapes.get(PlainAdapter.stem, (0, 0))[1], self.stem_channels
        return None if found == stated else f"has {found} stem channels where {stated} are stated."


class PlainAdapter(SpatialAdapter):
    """Pixel unshuffle, then convolutions; a 1x1 convolution that starts at zero gives each level's map."""

    spec_type = PlainSpec
    family = "sd"
    usual_blocks = 1
    # By this tensor its files are told from others.
    stem = "levels.0.0.weight"
    expects = "64 stem channels per picture channel"

    def __init__(self, spec: SpatialSpec, card: AdapterCard) -> None:
        super().__init__(spec, card)
        self.unshuffle = nn.PixelUnshuffle(spec.stride)
        self.levels = nn.ModuleList()
        for before, width in pairwise((spec.stem_channels, *spec.channels)):
            widths = pairwise((before, *(width,) * spec.blocks))
            layers = [layer for a, b in widths for layer in (nn.Conv2d(a, b, 3, padding=1), nn.SiLU())]
            self.levels.append(nn.Sequential(*layers))
        self.outputs = nn.ModuleList(nn.Conv2d(width, width, 1) for width in spec.channels)
        for output in self.outputs:
            nn.init.zeros_(output.weight)
            nn.init.zeros_(output.bias)
        # Rounds up, as the U-Net's own halving does, so that sizes stay in step.
        self.halve = nn.AvgPool2d(2, ceil_mode=True)

    def features(self, x: torch.Tensor) -> Features:
        """(batch, in_channels, height, width) -> one map per level."""
        x, maps = self.unshuffle(x), []
        for layers, output, down in zip(self.levels, self.outputs, self.spec.downs, strict=True):
            x = layers(self.halve(x) if down else x)
            maps.append(output(x))
        return Features(tuple(maps))

    @classmethod
    def recognises(cls, shapes: Shapes) -> bool:
        """Whether a file's tensors look like this network's."""
        return cls.stem in shapes and "outputs.0.weight" in shapes

    @classmethod
    def candidates(cls, shapes: Shapes) -> list[AdapterSpec]:
        """Its structure, read off names and shapes."""
        levels = sum(re.fullmatch(r"outputs\.\d+\.weight", name) is not None for name in shapes)
        blocks = sum(re.fullmatch(r"levels\.0\.\d+\.weight", name) is not None for name in shapes)
        channels = tuple(shapes[f"outputs.{level}.weight"][0] for level in range(levels))
        return [PlainSpec(shapes[cls.stem][1] // PlainSpec.stride**2, channels, blocks)]

    @classmethod
    def spec_for(
        cls, base: BaseShape, *, channels: int, options: Mapping[str, int], start: AdapterSpec | None = None
    ) -> AdapterSpec:
        """Its structure for a base; options are the recipe's numbers."""
        return PlainSpec(channels, tuple(one.channels for one in base.maps), options.get("blocks") or 1, base.stride)

    @classmethod
    def guessed(cls, program: str, spec: AdapterSpec) -> Reader:
        """Other programs do not know it; the model card says so."""
        return Reader(program, (), "it knows no such network")


def main() -> None:
    """Train it for a few steps, load what was saved, and draw."""
    steps = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    NETWORKS["plain"] = PlainAdapter
    recipe = {
        "run": "runs/plain",
        "base": {"model": "embedded"},
        "adapter": {"kind": "sketch", "network": "plain"},
        "data": {"source": "toyworld", "count": 4 * steps, "resolution": 128, "held_out": 4},
        "train": {"length": f"{steps} steps", "batch": 4, "learning_rate": 1e-3},
        "logging": {"tensorboard": False},
        "eval": {"every": "never", "preview_every": "never"},
    }
    folder = armature.train(recipe, force=True)
    adapter = armature.load_adapter(folder)
    print(f"trained and loaded {type(adapter).__name__}: {adapter.spec}")
    control = armature.Control(adapter, DRAWINGS / "house.png")
    armature.generate("a house on grass", control, seed=1, num_inference_steps=8).images[0].save("from_plain.png")


if __name__ == "__main__":
    main()
