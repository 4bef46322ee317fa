"""The light adapter: each level works at a fraction of its width."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import nn

from armature.adapters.base import AdapterCard, BaseShape
from armature.adapters.features import Features
from armature.adapters.keymap import KeyMap
from armature.adapters.networks.shapes import widths_at
from armature.adapters.networks.spatial import SD_CHANNELS, Downsample, SpatialAdapter, SpatialSpec, matching
from armature.adapters.readers import A1111, Reader
from armature.adapters.spec import AdapterSpec, Shapes, at_least_one

# Other programs build one light network only.
_KNOWN_DIVISOR = 4


@dataclass(frozen=True)
class LightSpec(SpatialSpec):
    """The light adapter as released for colour (18.7 M parameters); divisor 8 is the paper's tiny one (5.1 M).

    divisor: a level works at its width divided by this.
    """

    network = "light"

    blocks: int = 4
    divisor: int = 4

    def problems(self) -> list[str]:
        """Widths that the divisor does not divide."""
        problems = [*super().problems(), *at_least_one(self, "divisor")]
        if not problems and (uneven := [width for width in self.channels if width % self.divisor]):
            problems.append(f"widths {uneven} are not multiples of the divisor {self.divisor}")
        return problems


class LightAdapter(SpatialAdapter):
    """Pixel unshuffle, then one narrow stack of residual blocks per level; there is no stem convolution.

    Source: the authors' `Adapter_light`, released for colour; paper, table of adapter sizes ("small", "tiny").
    """

    spec_type = LightSpec
    family = "sd"
    stem = "body.0.in_conv.weight"
    expects = "64 stem channels per picture channel (SD)"
    keys = KeyMap(
        (
            ("body.{level}.in_conv", "adapter.body.{level}.in_conv"),
            ("body.{level}.body.{block}.block1", "adapter.body.{level}.resnets.{block}.block1"),
            ("body.{level}.body.{block}.block2", "adapter.body.{level}.resnets.{block}.block2"),
            ("body.{level}.out_conv", "adapter.body.{level}.out_conv"),
        )
    )
    diffusers_type = "light_adapter"
    usual_blocks = 4
    # diffusers builds one level more than its config names; published configs that name four give five maps.
    surplus_map = True
    spec: LightSpec  # pyright: ignore[reportIncompatibleVariableOverride]

    def __init__(self, spec: LightSpec, card: AdapterCard) -> None:
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

    @classmethod
    def recognises(cls, shapes: Shapes) -> bool:
        """Blocks counted inside their level, and an output convolution."""
        return matching(shapes, r"body\.\d+\.(body\.\d+|out_conv)\..+")

    @classmethod
    def candidates(cls, shapes: Shapes) -> list[AdapterSpec]:
        """The keys leave nothing open but the stem's stride, which is 8."""
        first = shapes[cls.stem]
        channels = widths_at(shapes, r"body\.(\d+)\.out_conv\.(?:weight|bias)")
        blocks = len(widths_at(shapes, r"body\.0\.body\.(\d+)\.block[12]\.(?:weight|bias)"))
        in_channels, rest = divmod(first[1], LightSpec.stride**2) if len(first) == 4 else (0, 1)
        if rest or not in_channels or not channels or not blocks or not 0 < first[0] <= channels[0]:
            return []
        return [LightSpec(in_channels, channels, blocks, LightSpec.stride, channels[0] // first[0])]

    @classmethod
    def spec_for(
        cls, base: BaseShape, *, channels: int, options: Mapping[str, int], start: AdapterSpec | None = None
    ) -> AdapterSpec:
        """The base's widths; as many blocks as `start` or the released file."""
        blocks = options.get("blocks") or (start.blocks if isinstance(start, LightSpec) else cls.usual_blocks)
        widths = tuple(m.channels for m in base.maps)
        return LightSpec(channels, widths, blocks, base.stride, options.get("divisor", LightSpec.divisor))

    @classmethod
    def diffusers_obstacle(cls, spec: AdapterSpec) -> str | None:
        """diffusers builds one divisor, and repeats the last width."""
        light = cast("LightSpec", spec)
        if light.divisor != _KNOWN_DIVISOR:
            return f"diffusers' light adapter works at width/{_KNOWN_DIVISOR}, this one at width/{light.divisor}"
        if light.levels < 2 or light.channels[-1] != light.channels[-2]:
            return f"diffusers' light adapter repeats its last width, this one has {list(light.channels)}"
        return None

    @classmethod
    def to_diffusers(cls, spec: AdapterSpec) -> dict[str, Any]:
        """diffusers adds one more level of the last width than its config names."""
        config = super().to_diffusers(spec)
        return {**config, "channels": config["channels"][:-1]}

    @classmethod
    def from_diffusers(cls, config: Mapping[str, Any]) -> AdapterSpec | None:
        """With the level that diffusers adds."""
        channels = tuple(config["channels"])
        return super().from_diffusers({**config, "channels": (*channels, *channels[-1:])})

    @classmethod
    def guessed(cls, program: str, spec: AdapterSpec) -> Reader:
        """They build the released colour adapter: its widths, four blocks, and not under diffusers' names."""
        light = cast("LightSpec", spec)
        odd = []
        if light.blocks != cls.usual_blocks:
            odd.append(
                f"{light.blocks} block{'s' if light.blocks > 1 else ''} a level where it builds {cls.usual_blocks}"
            )
        if light.channels != SD_CHANNELS or light.divisor != _KNOWN_DIVISOR:
            odd.append(
                f"widths {list(light.channels)} / {light.divisor} where it builds {list(SD_CHANNELS)} / "
                f"{_KNOWN_DIVISOR}"
            )
        if program == A1111 and light.in_channels != 3:
            odd.append(f"{light.in_channels} channel{'s' if light.in_channels > 1 else ''} where it gives 3")
        if not odd:
            return Reader(program, ("original",), "it reads light adapters in the original layout only; convert it")
        silent = ", and it may load it wrong without a word" if program == A1111 else ""
        return Reader(program, (), f"it has {'; '.join(odd)}{silent}")


class LightLevel(nn.Module):
    """[Halve], 1x1 down to width / divisor, residual blocks there, 1x1 up. Source: the authors' `extractor`."""

    def __init__(self, in_width: int, width: int, spec: LightSpec, *, down: bool) -> None:
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
