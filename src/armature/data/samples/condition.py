"""The control of a cropped sample: its ready map or one that is extracted, in the form that the contract asks for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from armature.conditions.contract import WHITE_ON_BLACK, InputContract
from armature.conditions.control_map import prepare_pixels
from armature.conditions.kinds import content_of, find_kind
from armature.conditions.picture.drawing import clean_values, recognise
from armature.conditions.picture.margin import find_margin
from armature.data.samples.crop import Crop
from armature.data.samples.extraction import Extraction
from armature.data.samples.line_augment import rough_lines
from armature.data.sources.source import Sample
from armature.errors import ConditionError, DatasetError

# Annotators round sizes to multiples of 64 and stretch by a few percent; more than this is another cut of the picture.
_STRETCH = 1.07
# Paper whiter than this needs no cleaning, only inversion.
_CLEAN = 13


@dataclass(frozen=True)
class ControlMaker:
    """Makes the controls of one training.

    extraction: None where samples bring their maps. dark_on_light: how ready line maps are drawn.
    """

    kind: str
    contract: InputContract
    extraction: Extraction | None
    dark_on_light: bool = False

    def make(
        self,
        sample: Sample,
        pixels: np.ndarray,
        crop: Crop,
        options: np.random.Generator,
        hand: np.random.Generator | None = None,
    ) -> tuple[np.ndarray, tuple[str, ...]]:
        """The control of a sample, (h, w) or (h, w, 3) uint8, red first; and what does not fit its contract, in words.

        pixels: the cropped picture, from which missing maps are extracted. options: draws the extractor's options.
        hand: given when the lines are to be roughened.
        Raises ConditionError for a map that cannot be used.
        """
        if sample.condition is not None:
            control = self._cropped(sample, sample.condition, crop)
        elif self.extraction is not None:
            control = self.extraction.run(pixels, self.extraction.draw(options))
        else:
            raise ConditionError("It has no map, and no extractor was chosen.")
        return self._in_form(control, hand)

    def _cropped(self, sample: Sample, condition: np.ndarray, crop: Crop) -> np.ndarray:
        """The sample's own map, cropped and mirrored with its picture."""
        _check_proportions(condition.shape, crop.original)
        if self.contract.polarity == WHITE_ON_BLACK:
            condition = normalize_polarity(condition, self.dark_on_light)
        content, mirror = content_of(self.contract), find_kind(self.kind).mirror
        if not crop.mirrored or mirror is None:
            return crop.apply(condition, content)
        if sample.mirrored is not None:
            return crop.apply_to_mirrored(sample.mirrored, content)
        return mirror(replace(crop, mirrored=False).apply(condition, content))

    def _in_form(self, control: np.ndarray, hand: np.random.Generator | None) -> tuple[np.ndarray, tuple[str, ...]]:
        contract = self.contract
        if contract.polarity == WHITE_ON_BLACK:
            # The brightest channel: a blue line is a line. How light the ground is was settled before.
            control = control.max(axis=-1) if control.ndim == 3 else control
            contract = replace(contract, polarity=None)
        pixels = prepare_pixels(control, contract, allow_empty=True)
        # Every map's channels are reordered on encoding; that is no news about this one.
        notes = tuple(note for note in pixels.notes if not note.startswith("Channels go in"))
        values = np.rint(pixels.values * np.float32(255)).astype(np.uint8)
        if hand is not None:
            lines = rough_lines(np.ascontiguousarray(values[..., 0]), hand)
            values = np.repeat(lines[..., None], values.shape[-1], axis=-1)
        return values[..., 0] if values.shape[-1] == 1 else values, notes


def _check_proportions(shape: tuple[int, ...], original: tuple[int, int]) -> None:
    stretch = (shape[1] / shape[0]) / (original[1] / original[0])
    if not 1 / _STRETCH <= stretch <= _STRETCH:
        raise ConditionError(
            f"Its map is {shape[1]} x {shape[0]} px and the picture {original[1]} x {original[0]} px (upright): "
            "other proportions, so they do not show the same part."
        )


def is_dark_on_light(lines: np.ndarray) -> bool:
    """Whether most of a map (h, w[, 3]) uint8 is light, so that its lines must be the dark part."""
    lines, _ = _without_margin(lines)
    return float(np.median(lines.max(axis=-1) if lines.ndim == 3 else lines)) > 127


def _without_margin(lines: np.ndarray) -> tuple[np.ndarray, tuple[slice, slice]]:
    """A line map inside a margin of another tone than its ground, which says nothing of how it is drawn; and where in
    the whole map, (h, w[, 3]) uint8, that lies.
    """
    whole = slice(0, lines.shape[0]), slice(0, lines.shape[1])
    if lines.size == 0:
        return lines, whole
    values = lines.reshape(*lines.shape[:2], -1).astype(np.float32) / np.float32(255)
    margin = find_margin(values)
    if margin is None or recognise(values[margin]) not in ("map", "drawing"):
        return lines, whole
    return lines[margin], margin


def folder_is_dark_on_light(maps: Sequence[np.ndarray]) -> bool:
    """What the line maps of one folder are, from some of them. Raises DatasetError when they do not agree."""
    dark = sum(is_dark_on_light(lines) for lines in maps)
    if dark <= 0.1 * len(maps):
        return False
    if dark >= 0.9 * len(maps):
        return True
    raise DatasetError(
        f"data.conditions: {dark} of {len(maps)} line maps looked at are dark lines on light ground, the others light "
        "lines on dark; adapters learn white lines on black: invert those that are not."
    )


def white_on_black(lines: np.ndarray) -> np.ndarray:
    """Dark lines on a light ground, (h, w[, 3]) uint8, as white lines on black (h, w).

    A clean white ground is inverted exactly; photographed or scanned paper is cleaned.
    Raises ConditionError when no line stands out.
    """
    ink = 255 - (lines.min(axis=-1) if lines.ndim == 3 else lines)
    if float(np.median(ink)) <= _CLEAN:
        return ink
    values = lines.astype(np.float32).reshape(*lines.shape[:2], -1) / np.float32(255)
    cleaned, _ = clean_values(values)
    return np.rint(cleaned[..., 0] * np.float32(255)).astype(np.uint8)


def normalize_polarity(lines: np.ndarray, dark_on_light: bool) -> np.ndarray:
    """A line map of a folder whose maps are so, as white lines on black (h, w).

    A margin of another tone than the ground becomes ground.
    Raises ConditionError for a map that is the other way round than its folder.
    """
    inside, place = _without_margin(lines)
    if inside.shape != lines.shape:
        whole = np.zeros(lines.shape[:2], np.uint8)
        whole[place] = normalize_polarity(inside, dark_on_light)
        return whole
    if not dark_on_light:
        lines = lines.max(axis=-1) if lines.ndim == 3 else lines
    elif is_dark_on_light(lines):
        lines = white_on_black(lines)
    else:
        raise ConditionError("The map is light lines on dark, and those of its folder are dark on light; invert it.")
    if is_dark_on_light(lines):
        raise ConditionError("The map is mostly light, and those of its folder are light lines on dark; invert it.")
    return lines
