"""The margin round a line map or drawing: rows and columns of one tone that are no part of what was drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from armature.conditions.picture.reading import SMALLEST_SIDE

if TYPE_CHECKING:
    import numpy as np

# What JPEG leaves of one tone, and the least by which a margin differs from the ground inside.
_ONE_TONE = 0.04
_OTHER_TONE = 0.1
# Channels of a grey tone differ by no more, JPEG included.
_COLOUR = 0.08
# Of the area outside, how much must be margin; of the picture, how much must be left.
_PURE = 0.98
_LEAST_INSIDE = 0.08
# Scaling and JPEG blur where margin and ground meet over at most so many pixels.
_BLUR = 3


def find_margin(values: np.ndarray) -> tuple[slice, slice] | None:
    """The rows and columns inside a margin of one tone on one to four sides, or None where there is none.

    values: (H, W, 1 or 3) in 0..1. The margin is white, grey or black, and the ground inside, which is its median tone,
    must be another: the white paper round a drawing is no margin. It may be one pixel wide, or most of the picture.
    """
    import numpy as np

    light, colour = values.max(axis=-1), np.ptp(values, axis=-1)
    # The sky or the ground of a plain illustration is no margin: those that programs and scanners add are grey.
    light = np.where(colour > _COLOUR, np.float32(2), light)
    edges = (light[0], light[-1], light[:, 0], light[:, -1])
    tones: list[float] = []
    for tone in (float(np.median(edge)) for edge in edges):
        if tone <= 1 and all(abs(tone - other) > _ONE_TONE for other in tones):
            tones.append(tone)
    boxes = [box for tone in tones if (box := _inside(light, tone)) is not None]
    # Two margins can lie round each other; the outer one is met first, and the inner one when this is asked again.
    return max(boxes, key=lambda box: light[box].size, default=None)


def _inside(light: np.ndarray, tone: float) -> tuple[slice, slice] | None:
    """The rectangle that a margin of this tone leaves free, without the pixels that scaling blurred."""
    import numpy as np

    other = np.abs(light - tone) > _ONE_TONE
    rows, columns = _solid(other.mean(axis=1)), _solid(other.mean(axis=0))
    if rows is None or columns is None:
        return None
    # Again within what was found: a line of a narrow rectangle is mostly margin, seen over the whole picture.
    rows, columns = _solid(other[:, columns].mean(axis=1)), _solid(other[rows].mean(axis=0))
    if rows is None or columns is None:
        return None
    inside = light[rows, columns]
    if inside.size < _LEAST_INSIDE * light.size or min(inside.shape) < SMALLEST_SIDE or inside.size == light.size:
        return None
    if abs(float(np.median(inside)) - tone) < _OTHER_TONE:
        return None
    outside = np.ones(light.shape, bool)
    outside[_grown(rows, light.shape[0]), _grown(columns, light.shape[1])] = False
    if float(other[outside].mean()) > 1 - _PURE:
        return None
    return _without_blur(light, rows, columns)


def _grown(lines: slice, total: int) -> slice:
    """With the lines that blur may have changed, on sides where the margin is wider than those."""
    start = lines.start - _BLUR if lines.start > _BLUR else lines.start
    stop = lines.stop + _BLUR if lines.stop < total - _BLUR else lines.stop
    return slice(start, stop)


def _solid(share: np.ndarray) -> slice | None:
    """From the first to the last line whose share of other tones is at least half the usual one of such lines."""
    import numpy as np

    if float(share.max()) == 0.0:
        return None
    lines = np.flatnonzero(share > 0.5 * float(np.percentile(share[share > 0], 90)))
    return slice(int(lines[0]), int(lines[-1]) + 1) if lines.size else None


def _without_blur(light: np.ndarray, rows: slice, columns: slice) -> tuple[slice, slice]:
    """The rectangle less up to three lines a side that are neither margin nor ground, on the sides with a margin."""
    import numpy as np

    inside = light[rows, columns]
    ground = float(np.median(inside))
    off = np.abs(inside - ground) > _ONE_TONE
    by_row, by_column = off.mean(axis=1) > 0.5, off.mean(axis=0) > 0.5

    def run(lines: np.ndarray) -> int:
        wrong = lines[:_BLUR]
        return int(np.argmin(wrong)) if not wrong.all() else len(wrong)

    height, width = light.shape
    top = run(by_row) if rows.start > 0 else 0
    bottom = run(by_row[::-1]) if rows.stop < height else 0
    left = run(by_column) if columns.start > 0 else 0
    right = run(by_column[::-1]) if columns.stop < width else 0
    return slice(rows.start + top, rows.stop - bottom), slice(columns.start + left, columns.stop - right)
