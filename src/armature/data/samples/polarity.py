"""Line maps must be light on dark: finding out how a folder of ready maps is, and turning it round."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from armature.conditions.picture.drawing import clean_values
from armature.errors import ConditionError, DatasetError

# Paper whiter than this needs no cleaning, only inversion.
_CLEAN = 13


def is_dark_on_light(lines: np.ndarray) -> bool:
    """Whether most of a map (h, w[, 3]) uint8 is light, so that its lines must be the dark part."""
    return float(np.median(lines.max(axis=-1) if lines.ndim == 3 else lines)) > 127


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

    Raises ConditionError for a map that is the other way round than its folder.
    """
    if not dark_on_light:
        lines = lines.max(axis=-1) if lines.ndim == 3 else lines
    elif is_dark_on_light(lines):
        lines = white_on_black(lines)
    else:
        raise ConditionError("The map is light lines on dark, and those of its folder are dark on light; invert it.")
    if is_dark_on_light(lines):
        raise ConditionError("The map is mostly light, and those of its folder are light lines on dark; invert it.")
    return lines
