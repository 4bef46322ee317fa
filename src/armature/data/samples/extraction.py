"""Condition maps made while training: an extractor with options that each sample may draw for itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from armature.conditions.extractor import Extractor, Option
from armature.conditions.kinds import KINDS, find_kind
from armature.conditions.registry import find_extractor
from armature.data.settings import OptionValue
from armature.errors import ConditionError, DatasetError, RecipeError

_TRIALS = 16


@dataclass(frozen=True)
class Extraction:
    """An extractor and its options. ranges: name -> (low, high, whether whole numbers are drawn), both inclusive."""

    extractor: Extractor
    fixed: Mapping[str, Any]
    ranges: Mapping[str, tuple[float, float, bool]]

    def draw(self, rng: np.random.Generator) -> dict[str, Any]:
        """All options of one sample."""
        drawn: dict[str, Any] = {}
        for name, (low, high, whole) in sorted(self.ranges.items()):
            drawn[name] = int(rng.integers(int(low), int(high) + 1)) if whole else float(rng.uniform(low, high))
        return {**self.fixed, **drawn}

    def run(self, pixels: np.ndarray, options: Mapping[str, Any]) -> np.ndarray:
        """The map (h, w[, 3]) uint8 of a picture (h, w, 3) uint8. Raises ConditionError as the extractor does."""
        made = np.asarray(self.extractor.run(Image.fromarray(pixels), **options))
        if made.shape[:2] != pixels.shape[:2]:
            raise ConditionError(
                f"Extractor {self.extractor.name!r} gave a map of {made.shape[1]} x {made.shape[0]} px for a picture "
                f"of {pixels.shape[1]} x {pixels.shape[0]} px; its map must have the picture's size."
            )
        return made

    def load(self) -> None:
        """Run once, so that what every sample would fail on (absent weights, a wrong device) is told at the start.

        Raises DatasetError for it.
        """
        options = self.draw(np.random.default_rng(0))
        if "allow_empty" in options:  # nobody is on the trial picture
            options["allow_empty"] = True
        try:
            self.run(_trial_picture(), options)
        except ConditionError as error:
            raise DatasetError(f"data.extractor: {error}") from error

    def summary(self) -> dict[str, Any]:
        """What to store beside maps, ready for JSON: it changes whenever the map of the same picture could change."""
        ranges = {name: [low, high] for name, (low, high, _) in self.ranges.items()}
        return self.extractor.metadata({**self.fixed, **ranges})


def plan_extraction(name: str, kind: str, options: Mapping[str, OptionValue]) -> Extraction:
    """The extraction that a recipe asks for, tried on a small picture with every end of its ranges.

    name: of the extractor. kind: of the adapter. options: a value, or (low, high) to draw from.
    Raises RecipeError for an unknown extractor, one of another kind, and options that it does not take.
    """
    try:
        extractor = find_extractor(name)
        _check_kind(extractor, kind)
        known = {option.name: option for option in extractor.options}
        ranges = {
            key: _range(known[key], value)
            for key, value in options.items()
            if isinstance(value, tuple) and key in known
        }
        ends = [{key: _end(ends, which) for key, ends in ranges.items()} for which in (0, 1)]
        values = {key: value for key, value in options.items() if key not in ranges}
        complete = [extractor.settings({**values, **end}) for end in ends]
        fixed = {key: value for key, value in complete[0].items() if key not in ranges}
        extraction = Extraction(extractor, fixed, ranges)
        _try_out(extraction)
    except ConditionError as error:
        raise RecipeError(f"data.extract: {error}") from error
    return extraction


def _check_kind(extractor: Extractor, kind: str) -> None:
    """Lines of one sort may train an adapter for another; anything else is a slip."""
    made = KINDS.get(extractor.kind)
    if made is None or made.name == kind or made.content == find_kind(kind).content == "line":
        return
    raise RecipeError(
        f"data.extractor = {extractor.name!r} makes {extractor.kind} maps, and the adapter is for {kind}; "
        f"take an extractor of {kind} maps."
    )


def _range(option: Option, value: tuple[Any, ...]) -> tuple[float, float, bool]:
    low, high = value
    if option.low is None and option.high is None:
        raise ConditionError(f"{option.name}={list(value)!r}: {option.name} is no number, so it cannot be drawn.")
    if low > high:
        raise ConditionError(f"{option.name}={list(value)!r} runs downwards; expected [low, high].")
    return (low, high, option.number is int)


def _end(ends: tuple[float, float, bool], which: int) -> float:
    return int(ends[which]) if ends[2] and float(ends[which]).is_integer() else ends[which]


def _try_out(extraction: Extraction) -> None:
    """Options can contradict each other (thresholds that overlap): better told now than sample by sample."""
    extractor = extraction.extractor
    if extractor.weights or extractor.name.startswith("embedded:") or KINDS.get(extractor.kind) is None:
        return
    pixels = _trial_picture()
    names = sorted(extraction.ranges)
    corners = product(*((_end(extraction.ranges[name], 0), _end(extraction.ranges[name], 1)) for name in names))
    for corner, _ in zip(corners, range(_TRIALS), strict=False):
        extraction.run(pixels, {**extraction.fixed, **dict(zip(names, corner, strict=True))})


def _trial_picture() -> np.ndarray:
    picture = Image.new("RGB", (64, 64), (200, 180, 60))
    ImageDraw.Draw(picture).ellipse((12, 16, 50, 44), fill=(30, 60, 160))
    return np.asarray(picture)
