"""A sketch of a picture without a network: its contours as white strokes on black."""

from __future__ import annotations

from typing import TYPE_CHECKING

from armature.conditions.contract import contract_for
from armature.conditions.edges import contour_strength, link, picture_scale, stroke, thin, thresholds, to_map
from armature.conditions.extractor import Extractor, Option

if TYPE_CHECKING:
    from PIL import Image


def sketch(picture: Image.Image, detail: float, smoothing: float, width: float) -> Image.Image:
    """White strokes on black, binarised, mode "L".

    Contours (colour gradient at two scales, texture held down) are thinned, linked and drawn as strokes; pieces
    too short to be drawn by hand are dropped.
    """
    scale = picture_scale(picture)
    edge = contour_strength(picture, smoothing)
    low, high = thresholds(edge.strength, detail)
    shortest = max(5, round((32 - 20 * detail) * scale))
    lines = link(thin(edge), low, high, shortest)
    return to_map((stroke(lines, max(1.0, width * scale)) > 0.5).astype("float32"))


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
    ),
)
