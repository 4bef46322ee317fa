"""Drawings as people make them, turned into the white-on-black map that line adapters expect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from armature.conditions.picture.margin import find_margin
from armature.conditions.picture.reading import read_pixels, to_picture
from armature.conditions.picture.sheet import find_sheet, paper_everywhere
from armature.errors import ConditionError

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

LineSource = Literal["map", "drawing", "picture", "blank"]

MARGIN = "A margin of another tone than the ground was left out."
SHEET = "A sheet of paper was found; its edges and what lies around it were left out."

# Ink weaker than this share of the paper's brightness is paper grain, JPEG noise or a smudge.
_GRAIN = 0.08
_ENOUGH = 1024
# One sheet under one light keeps its tint within this share of a channel, and its brightness this smooth.
_TINT = 0.03
_STEP = 0.02


def recognise(values: np.ndarray) -> LineSource:
    """What a picture meant as a line map is, from float values (H, W, 1 or 3) in 0..1.

    "map": light lines on a dark ground; "drawing": dark or coloured lines on light paper, evenly lit or not;
    "blank": one tone all over; "picture": anything else, such as a photo, which needs an extractor.
    """
    import cv2
    import numpy as np

    if float(values.max() - values.min()) < 0.02:
        return "blank"
    longest = max(values.shape[:2])
    if longest > _ENOUGH:  # a smaller copy tells the same, and this is asked of every control
        size = tuple(max(8, round(side * _ENOUGH / longest)) for side in values.shape[1::-1])
        values = cv2.resize(values, size, interpolation=cv2.INTER_AREA).reshape(size[1], size[0], -1)
    light = values.max(axis=-1)
    if float((light < 0.25).mean()) > 0.6:
        return "map"
    if float(np.median(light)) < 0.4:
        return "picture"
    ink, _, patches = ink_of(values)
    if patches > 1 or float((ink < _GRAIN).mean()) < 0.6:
        return "picture"
    # Averaged over 3 x 3 pixels: a thin stroke stays above a tenth, noise does not.
    return "drawing" if float(cv2.blur(ink, (3, 3)).max()) > 0.1 else "blank"


class Lines(NamedTuple):
    """What a picture that is meant as lines holds.

    source: as `recognise` tells it, of what lies inside margin and sheet.
    values: (H, W, C) in 0..1. A map without its margin; the cleaned lines of a drawing, C = 1; else the picture as it
        was given. Always of the picture's size: what was left out is ground.
    notes: what was done, as sentences.
    """

    source: LineSource
    values: np.ndarray
    notes: tuple[str, ...] = ()


def read_lines(values: np.ndarray) -> Lines:
    """The lines in values (H, W, 1 or 3) in 0..1: a map of lines, or a drawing on paper, which is cleaned.

    A margin of another tone than the ground, and what lies round a photographed sheet of paper, are left out, and that
    is noted. Raises ConditionError for a drawing of which no stroke stands out.
    """
    found = recognise(values)
    margin = find_margin(values)
    if margin is not None:
        inside = read_lines(values[margin])
        if inside.source in ("map", "drawing") or (inside.source == "blank" and found == "map"):
            return Lines(inside.source, _in_margin(inside, values, margin), (*inside.notes, MARGIN))
    if found == "blank":
        return Lines(found, values)
    sheet = find_sheet(values)
    if sheet is not None and (lines := _on_sheet(values, sheet)) is not None:
        return lines
    if found == "drawing":
        return Lines(found, *clean_values(values))
    return Lines(found, values)


def _in_margin(inside: Lines, values: np.ndarray, margin: tuple[slice, slice]) -> np.ndarray:
    """Lines inside a margin, at the whole picture's size, the margin in their ground's tone."""
    import numpy as np

    ground = np.median(inside.values, axis=(0, 1)).astype(np.float32)
    whole = np.empty((*values.shape[:2], inside.values.shape[-1]), np.float32)
    whole[:] = ground
    whole[margin] = inside.values
    return whole


def _on_sheet(values: np.ndarray, sheet: np.ndarray) -> Lines | None:
    """The drawing on a sheet of paper, (H, W) bool, in a photograph; None when what lies there is no drawing."""
    import numpy as np

    rows, columns = (np.flatnonzero(sheet.any(axis=axis)) for axis in (1, 0))
    box = slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)
    paper = paper_everywhere(values[box], sheet[box])
    if recognise(paper) != "drawing":
        return None
    try:
        cleaned, notes = clean_values(paper)
    except ConditionError:
        return None
    lines = np.zeros((*values.shape[:2], 1), np.float32)
    lines[box] = np.where(sheet[box][..., None], cleaned, 0.0)
    return Lines("drawing", lines, (*notes, SHEET)) if (lines > 0.5).any() else None


class Ink(NamedTuple):
    """A picture read as ink on paper.

    amount: (H, W) in 0..1, how much each pixel differs from the paper around it.
    shadow: the paper's brightness range, 0 for even light.
    patches: how unlike one sheet under one light the "paper" is: tints and hard steps, 0 for a real sheet.
    """

    amount: np.ndarray
    shadow: float
    patches: float


def ink_of(values: np.ndarray) -> Ink:
    """Separate ink and paper in values (H, W, 1 or 3) in 0..1.

    The paper's brightness is estimated per channel as the brightest tone of a neighbourhood wider than any stroke,
    smoothed, so that shadows, vignettes and yellow lamps divide out; the strongest channel counts, so that yellow
    pencil is ink as well.
    """
    import cv2
    import numpy as np

    height, width = values.shape[:2]
    # The paper varies slowly: a small copy is enough, and cheap.
    factor = min(1.0, 128 / max(height, width))
    size = (max(8, round(width * factor)), max(8, round(height * factor)))
    reach = max(3, round(max(size) / 12)) | 1
    # Closing (dilate, then erode) instead of a plain maximum: a lit corner must not lift the shadow beside it.
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach))
    small = cv2.resize(values, size, interpolation=cv2.INTER_AREA).reshape(size[1], size[0], -1)
    closed = [
        cv2.morphologyEx(tone, cv2.MORPH_CLOSE, kernel, borderType=cv2.BORDER_REPLICATE) for tone in _split(small)
    ]
    papers = [cv2.GaussianBlur(tone, (0, 0), reach / 4, borderType=cv2.BORDER_REPLICATE) for tone in closed]
    amount = np.zeros((height, width), np.float32)
    for tone, paper in zip(_split(values), papers, strict=True):
        paper = cv2.resize(paper, (width, height), interpolation=cv2.INTER_LINEAR)
        amount = np.maximum(amount, 1.0 - tone / np.maximum(paper, 0.05))
    # The brightest tone of a neighbourhood lies above the paper by its noise: most of a drawing is paper, so its
    # median is that noise.
    amount = np.clip(amount - np.median(amount), 0.0, 1.0)
    paper = np.stack(papers, axis=-1)
    share = paper / np.maximum(paper.sum(axis=-1, keepdims=True), 0.05)
    tint = float(np.percentile(np.abs(share - np.median(share, axis=(0, 1))), 95))
    step = float(np.mean(np.abs(np.stack(closed, axis=-1) - paper) / np.maximum(paper, 0.05)))
    shadow = float((paper.max(axis=(0, 1)) - paper.min(axis=(0, 1))).max())
    return Ink(amount, shadow, max(tint / _TINT, step / _STEP))


def _split(values: np.ndarray) -> list[np.ndarray]:
    import numpy as np

    return [np.ascontiguousarray(values[..., channel]) for channel in range(values.shape[-1])]


def clean_values(values: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """A drawing on light paper as a white-on-black map: values (H, W, 1 or 3) to (H, W, 1), with notes.

    Raises ConditionError when no ink is found.
    """
    import numpy as np

    ink, shadow, _ = ink_of(values)
    # Grain is judged against the picture's own noise: on clean scans the floor stays low and faint pencil survives.
    quiet = ink[ink < _GRAIN]
    floor = min(0.25, max(0.04, 4.0 * float(quiet.std()) if quiet.size else 0.0))
    strokes = ink[ink > max(2 * floor, 0.12)]
    full = max(float(np.percentile(strokes, 60)), floor + 0.05) if strokes.size else 1.0
    lines = _without_specks(np.clip((ink - floor) / (full - floor), 0.0, 1.0))
    if not (lines > 0.5).any():
        raise ConditionError("The drawing is blank: no stroke stands out from the paper.")
    notes = ["Dark lines on light paper were turned into white lines on black."]
    if values.shape[-1] == 3 and float(np.ptp(values, axis=-1)[lines > 0.5].mean()) > 0.15:
        notes.append("Coloured strokes count as lines; their colours are not kept.")
    if shadow > 0.12:
        notes.append("Uneven light on the paper was evened out.")
    return lines[..., None].astype(np.float32), tuple(notes)


def _without_specks(lines: np.ndarray) -> np.ndarray:
    """Keep strokes and their soft borders; drop marks of a few pixels and what is fainter: dust, paper grain."""
    import cv2
    import numpy as np

    _, labels, stats, _ = cv2.connectedComponentsWithStats((lines > 0.3).astype(np.uint8), connectivity=8)
    keep = stats[:, cv2.CC_STAT_AREA] >= max(3, round(max(lines.shape) / 128))
    keep[0] = False
    strokes = keep[np.asarray(labels, np.intp)].astype(np.uint8)
    return np.where(cv2.dilate(strokes, np.ones((3, 3), np.uint8)) > 0, lines, 0.0)


def clean_drawing(source: Any) -> tuple[Image.Image, tuple[str, ...]]:
    """A drawing from any source as a white-on-black picture (mode "L"), with notes on what was done.

    A map that is white on black already comes back as it is. Raises ConditionError for a blank sheet, for a photo
    that is no drawing, and as `read_picture` does.
    """
    pixels = read_pixels(source)
    found, values, notes = read_lines(pixels.values)
    if found == "blank":
        raise ConditionError("The drawing is blank: the whole picture has one tone.")
    if found == "picture":
        raise ConditionError(
            "This does not look like a drawing on paper; to get lines from a photo, "
            "extract 'sketch', 'lineart' or 'canny'."
        )
    return to_picture(values.max(axis=-1, keepdims=True)), (*pixels.notes, *notes)
