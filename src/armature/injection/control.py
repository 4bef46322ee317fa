"""One control: an adapter, its picture, and how strongly, when, where and for which half of guidance it acts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from numbers import Real
from typing import Any, Literal, get_args

from torch import nn

from armature.adapters.base import Adapter
from armature.checkpoints.load import load_adapter
from armature.conditions.picture.fit import Fit
from armature.errors import AttachError

GuidanceHalf = Literal["both", "conditional"]
ControlFit = Literal["stretch", "crop", "pad"]

# In the words of `fit_values`, whose "crop" cuts a photograph at its own scale.
_FITS: dict[str, Fit] = {"stretch": "stretch", "crop": "resize", "pad": "pad"}

# "My prompt is more important", as users of other tools know it: finest level first.
LEVEL_PRESETS: dict[str, tuple[float, ...]] = {"soft": (0.25, 0.62, 0.825, 1.0)}


@dataclass(frozen=True, eq=False)
class Control:
    """One adapter at work on one picture, or on one picture per prompt.

    adapter: from load_adapter or build_adapter; or diffusers' T2IAdapter or MultiAdapter, which load_adapter reads.
    image: path, PIL picture, NumPy array or tensor; a list of them is one per prompt (per frame for video), as is a
        tensor (N, C, H, W). For a MultiAdapter a list with one per member, or a list of such lists.
    weight: any finite number; 1 is the adapter as trained, 0 leaves the U-Net alone bit for bit.
    levels: a factor for each feature map, finest first: numbers, text such as "1/1/0.5/0", or the name of a preset
        ("soft"); None means 1 everywhere.
    start, end: fractions of the steps that a pipeline call really runs, 0 <= start < end <= 1; step i of N is
        controlled when start <= i/N < end, so end=1 includes the last.
    mask: where it acts, 0..1, white for full effect: path, PIL picture, array or tensor (H, W), or one per picture.
    fit: how a picture of other proportions comes to the size that is drawn: "stretch" to it; "crop", scaled until it
        covers it, its edges cut off; or "pad", scaled until it fits inside, black around it. The mask likewise.
    guidance_half: "both" halves of classifier-free guidance, or the "conditional" one alone; left out, what the
        network says: both for feature maps.
    Raises AttachError for values outside these.

    Example:
        Control(sketch, "drawing.png", weight=0.8, end=0.6, levels="soft")
    """

    adapter: Adapter
    image: Any
    weight: float = field(default=1.0, kw_only=True)
    levels: Sequence[float] | str | None = field(default=None, kw_only=True)
    start: float = field(default=0.0, kw_only=True)
    end: float = field(default=1.0, kw_only=True)
    mask: Any = field(default=None, kw_only=True)
    fit: ControlFit = field(default="stretch", kw_only=True)
    guidance_half: GuidanceHalf | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        object.__setattr__(self, "adapter", _adapter(self.adapter))
        if self.adapter.takes == "features":
            raise AttachError(
                f"Control got a {self.adapter.spec.network} network as its adapter, which takes the features of other "
                "adapters; give it as attach(..., fuser=...)."
            )
        if self.image is None or (isinstance(self.image, (list, tuple)) and not self.image):
            raise AttachError(f"The {self.name} control has no picture; give a path, picture, array, tensor or list.")
        object.__setattr__(self, "weight", number("weight", self.weight))
        object.__setattr__(self, "levels", _levels(self.levels, len(self.adapter.spec.maps)))
        object.__setattr__(self, "start", number("start", self.start))
        object.__setattr__(self, "end", number("end", self.end))
        if not 0.0 <= self.start < self.end <= 1.0:
            raise AttachError(
                f"The {self.name} control has start={self.start} and end={self.end}; expected 0 <= start < end <= 1. "
                "Use weight=0 for a control that never acts."
            )
        if self.mask is not None and not self.adapter.spec.maps:
            raise AttachError(
                f"The {self.name} control has a mask, and gives tokens, which have no place; leave it out."
            )
        if self.fit not in _FITS:
            raise AttachError(f"fit is {self.fit!r}; expected one of {', '.join(map(repr, _FITS))}.")
        if self.guidance_half is None:
            object.__setattr__(self, "guidance_half", self.adapter.default_half)
        if self.guidance_half not in get_args(GuidanceHalf):
            raise AttachError(
                f"guidance_half is {self.guidance_half!r}; expected one of "
                f"{', '.join(map(repr, get_args(GuidanceHalf)))}."
            )

    @property
    def name(self) -> str:
        """What messages call this control: its kind, or its adapter's network."""
        return self.adapter.card.kind or self.adapter.spec.network

    @property
    def fitting(self) -> Fit:
        """`fit` as `prepare_control` and `fit_values` call it."""
        return _FITS[self.fit]

    @property
    def level_weights(self) -> tuple[float, ...]:
        """The weight of every feature map: weight times the level's factor."""
        factors: Any = self.levels
        return tuple(self.weight * factor for factor in factors)

    @property
    def always(self) -> bool:
        """Whether it acts on every step."""
        return self.start == 0.0 and self.end == 1.0

    @property
    def silent(self) -> bool:
        """Whether it adds nothing at all."""
        if self.adapter.spec.tokens is not None and self.weight:
            return False
        return not any(self.level_weights)

    def active(self, step: int, steps: int) -> bool:
        """Whether it acts on step `step` (from 0) of `steps`."""
        return self.start <= step / steps < self.end

    @property
    def pictures(self) -> list[Any]:
        """The single conditions in `image`, in the order of the prompts."""
        image: Any = self.image
        listed = isinstance(image, (list, tuple))
        if self.adapter.pictures_each > 1:
            if not listed:
                raise AttachError(
                    f"The {self.name} control joins {self.adapter.pictures_each} adapters; give a list with one "
                    "picture for each."
                )
            return list(image) if all(isinstance(one, (list, tuple)) for one in image) else [image]
        if listed or getattr(image, "ndim", 0) == 4:
            return list(image)
        return [image]


def number(name: str, value: Any) -> float:
    """A finite number as a float; raises AttachError for anything else."""
    if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value):
        raise AttachError(f"{name} is {value!r}; expected a finite number.")
    return float(value)


def _adapter(given: Any) -> Adapter:
    """The adapter, read from diffusers' object where it is one."""
    if isinstance(given, Adapter):
        return given
    if isinstance(given, nn.Module) and type(given).__name__ in ("T2IAdapter", "MultiAdapter"):
        return load_adapter(given)
    raise AttachError(f"Control got {type(given).__name__} as its adapter; give what armature.load_adapter returns.")


def _levels(levels: Any, count: int) -> tuple[float, ...]:
    """One factor per level, from None, the name of a preset, text, or numbers."""
    if levels is None:
        return (1.0,) * count
    if isinstance(levels, str):
        levels = _level_text(levels)
    if not isinstance(levels, Sequence):
        raise AttachError(f"levels is {levels!r}; expected {count} numbers, finest level first, or a preset's name.")
    factors = tuple(number(f"levels[{index}]", value) for index, value in enumerate(levels))
    if len(factors) != count:
        raise AttachError(f"levels has {len(factors)} numbers; this adapter has {count} levels, finest first.")
    return factors


def _level_text(text: str) -> tuple[float, ...]:
    """A preset's name, or numbers with slashes between them."""
    if text in LEVEL_PRESETS:
        return LEVEL_PRESETS[text]
    try:
        return tuple(float(part) for part in text.split("/"))
    except ValueError as error:
        raise AttachError(
            f"Unknown level preset {text!r}; expected {', '.join(LEVEL_PRESETS)}, or numbers such as 1/1/0.5/0."
        ) from error
