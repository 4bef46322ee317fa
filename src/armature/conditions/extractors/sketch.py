"""A sketch of a picture without a network: its contours and dark lines as white strokes on black."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from armature.conditions.extractor import Extractor, Option, with_notes
from armature.conditions.kinds import contract_for
from armature.conditions.picture.edges import (
    contour_strength,
    lab,
    link,
    picture_scale,
    stroke,
    thin,
    thresholds,
    to_map,
)

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

    from armature.conditions.picture.drawing import Lines

# Dark lines up to this width, in pixels for a picture of 512, are strokes rather than areas with two edges.
_WIDEST_LINE = 9


def sketch(picture: Image.Image, detail: float, smoothing: float, width: float, drawings: bool) -> Image.Image:
    """White strokes on black, binarised, mode "L".

    Contours (colour gradient at two scales, texture held down) are thinned, linked and drawn as strokes; pieces
    too short to be drawn by hand are dropped. Dark lines stand for themselves, not as two edges.
    drawings: a drawing on paper, photographed or not, is cleaned instead, and a map that is white on black stays as it
        is; what was done is noted on the map, see `notes_of`.
    """
    import numpy as np

    if drawings:
        lines = _drawn_lines(picture)
        if lines is not None:
            return with_notes(to_map((lines.values[..., 0] > 0.5).astype(np.float32)), lines.notes)
    scale = picture_scale(picture)
    values = lab(picture, smoothing)
    edge = contour_strength(values, scale)
    low, high = thresholds(edge.strength, detail)
    shortest = max(5, round((32 - 20 * detail) * scale))
    contours = link(thin(edge), low, high, shortest)
    inked, beside = _dark_lines(values[..., 0], contours, scale, shortest)
    contours = link((contours & ~beside).astype(np.float32), 0.5, 0.5, max(3, shortest // 3))
    strokes = stroke(contours, max(1.0, width * scale)) > 0.5
    return to_map((strokes | inked).astype(np.float32))


def _drawn_lines(picture: Image.Image) -> Lines | None:
    """The lines of a picture that is a drawing or a map of lines already, (H, W, 1); None for any other."""
    import numpy as np

    from armature.conditions.picture.drawing import read_lines

    values = np.asarray(picture, dtype=np.float32) / np.float32(255)
    values = values.reshape(*values.shape[:2], -1)
    lines = read_lines(values)
    if lines.source == "drawing":
        return lines
    # A night scene is mostly dark too: only a picture without middle tones is a map.
    middle = float(((lines.values > 0.1) & (lines.values < 0.9)).any(axis=-1).mean())
    if lines.source != "map" or middle >= 0.05:
        return None
    return lines._replace(values=lines.values.max(axis=-1, keepdims=True))


def _dark_lines(
    lightness: np.ndarray, contours: np.ndarray, scale: float, shortest: int
) -> tuple[np.ndarray, np.ndarray]:
    """Where narrow dark lines run, and where their own edges lie: bool (H, W) twice.

    A line is darker than both its sides (closing minus tone), long, and bordered by contours.
    """
    import cv2
    import numpy as np

    reach = max(3, round(_WIDEST_LINE * scale)) | 1
    light = np.ascontiguousarray(lightness)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach))
    depth = cv2.morphologyEx(light, cv2.MORPH_BLACKHAT, kernel, borderType=cv2.BORDER_REPLICATE)
    border = cv2.dilate(contours.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    # Pieces in the lines' own tone: a long dark line, not the corners that closing leaves everywhere.
    inked = link(depth, 0.15, 0.35, 3 * shortest)
    count, labels = cv2.connectedComponents(inked.astype(np.uint8), connectivity=8)
    labels = np.asarray(labels, np.intp)
    touched = np.bincount(labels[border], minlength=count) / np.maximum(np.bincount(labels.ravel(), minlength=count), 1)
    keep = touched > 0.25
    keep[0] = False
    inked = keep[labels]
    # The smoothing of the gradient pushes a line's two edges outwards by about its own width.
    around = np.ones((2 * math.ceil(1 + 2 * scale) + 1,) * 2, np.uint8)
    return inked, cv2.dilate(inked.astype(np.uint8), around) > 0


EXTRACTOR = Extractor(
    name="sketch",
    kind="sketch",
    summary="contours as strokes, without a network",
    run=sketch,
    contract=contract_for("sketch"),
    options=(
        Option("detail", 0.5, "how weak an edge may be and still be drawn", 0, 1),
        Option("smoothing", 1.0, "how much texture is flattened first", 0, 3),
        Option("width", 2.5, "stroke width in pixels for a picture of 512", 0.5, 16),
        Option("drawings", True, "take the lines of a drawing as they are"),
    ),
    version=2,
    aliases={"embedded:sketch": {}},
)
