"""Drawings as people make them, turned into the white-on-black map that line adapters expect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from armature.conditions.picture import read_pixels, to_picture
from armature.errors import ConditionError

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

LineSource = Literal["map", "drawing", "picture", "blank"]

# Ink weaker than this share of the paper's brightness is paper grain, JPEG noise or a smudge.
_GRAIN = 0.08


def recognise(values: np.ndarray) -> LineSource:
    """What a picture meant as a line map is, from float values (H, W, 1 or 3) in 0..1.

    "map": light lines on a dark ground; "drawing": dark or coloured lines on light paper, evenly lit or not;
    "blank": one tone all over; "picture": anything else, such as a photo, which needs an extractor.
    """
    import numpy as np

    light = values.max(axis=-1)
    dark = values.min(axis=-1)
    if float(light.max() - dark.min()) < 0.02:
        return "blank"
    if float((light < 0.25).mean()) > 0.6:
        return "map"
    if float(np.median(light)) < 0.4:
        return "picture"
    ink, _ = ink_of(values)
    clean = float((ink < _GRAIN).mean())
    if clean < 0.6:
        return "picture"
    return "drawing" if float(ink.max()) > 0.15 else "blank"


def ink_of(values: np.ndarray) -> tuple[np.ndarray, float]:
    """How much each pixel differs from the paper around it, and how unevenly the paper is lit.

    values: (H, W, 1 or 3) in 0..1. Returns ink (H, W) in 0..1 and the paper's brightness range, 0 for even light.

    The paper's brightness is estimated per channel as the brightest tone of a neighbourhood wider than any stroke,
    smoothed, so that shadows, vignettes and yellow lamps divide out; the strongest channel counts, so that yellow
    pencil is ink as well.
    """
    import cv2
    import numpy as np

    height, width = values.shape[:2]
    # The paper varies slowly: a small copy is enough, and cheap.
    factor = min(1.0, 128 / max(height, width))
    small_size = (max(8, round(width * factor)), max(8, round(height * factor)))
    ink = np.zeros((height, width), np.float32)
    uneven = 0.0
    for channel in range(values.shape[-1]):
        tone = np.ascontiguousarray(values[..., channel])
        small = cv2.resize(tone, small_size, interpolation=cv2.INTER_AREA)
        reach = max(3, round(max(small_size) / 8)) | 1
        # Closing (dilate, then erode) instead of a plain maximum: a lit corner must not lift the shadow beside it.
        kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach))
        paper = cv2.morphologyEx(small, cv2.MORPH_CLOSE, kernel, borderType=cv2.BORDER_REPLICATE)
        paper = cv2.GaussianBlur(paper, (0, 0), reach / 4, borderType=cv2.BORDER_REPLICATE)
        uneven = max(uneven, float(paper.max() - paper.min()))
        paper = cv2.resize(paper, (width, height), interpolation=cv2.INTER_LINEAR)
        ink = np.maximum(ink, 1.0 - tone / np.maximum(paper, 0.05))
    return np.clip(ink, 0.0, 1.0), uneven


def clean_values(values: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """A drawing on light paper as a white-on-black map: values (H, W, 1 or 3) to (H, W, 1), with notes.

    Raises ConditionError when no ink is found.
    """
    import numpy as np

    ink, uneven = ink_of(values)
    # Grain is judged against the picture's own noise: on clean scans the floor stays low and faint pencil survives.
    quiet = ink[ink < _GRAIN]
    floor = min(0.25, max(0.04, 4.0 * float(quiet.std()) if quiet.size else 0.0))
    strokes = ink[ink > max(2 * floor, 0.12)]
    if strokes.size < 4:
        raise ConditionError("The drawing is blank: no stroke stands out from the paper.")
    full = max(float(np.percentile(strokes, 60)), floor + 0.05)
    lines = np.clip((ink - floor) / (full - floor), 0.0, 1.0)
    lines = _without_specks(lines)
    notes = ["Dark lines on light paper were turned into white lines on black."]
    if values.shape[-1] == 3 and float((values.max(-1) - values.min(-1))[ink > 0.2].mean()) > 0.15:
        notes.append("Coloured strokes count as lines; their colours are not kept.")
    if uneven > 0.12:
        notes.append("Uneven light on the paper was evened out.")
    return lines[..., None].astype(np.float32), tuple(notes)


def _without_specks(lines: np.ndarray) -> np.ndarray:
    """Drop marks of a few pixels: dust and paper grain, never a stroke."""
    import cv2
    import numpy as np

    count, labels, stats, _ = cv2.connectedComponentsWithStats((lines > 0.3).astype(np.uint8), connectivity=8)
    if count <= 1:
        return lines
    smallest = max(3, round(max(lines.shape) / 128))
    labels = np.asarray(labels, np.intp)
    keep = stats[:, cv2.CC_STAT_AREA] >= smallest
    keep[0] = True
    near = cv2.dilate((~keep)[labels].astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
    near &= ~(keep[labels] & (labels > 0))
    return np.where(near, 0.0, lines)


def clean_drawing(source: Any) -> tuple[Image.Image, tuple[str, ...]]:
    """A drawing from any source as a white-on-black picture (mode "L"), with notes on what was done.

    A map that is white on black already comes back as it is. Raises ConditionError for a blank sheet, for a photo
    that is no drawing, and as `read_picture` does.
    """
    pixels = read_pixels(source)
    found = recognise(pixels.values)
    if found == "blank":
        raise ConditionError("The drawing is blank: the whole picture has one tone.")
    if found == "picture":
        raise ConditionError(
            "This does not look like a drawing on paper; to get lines from a photo, "
            "extract 'sketch', 'lineart' or 'canny'."
        )
    if found == "map":
        return to_picture(pixels.values.max(axis=-1, keepdims=True)), pixels.notes
    lines, notes = clean_values(pixels.values)
    return to_picture(lines), (*pixels.notes, *notes)
