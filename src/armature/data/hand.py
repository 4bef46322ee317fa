"""Line maps as a hand would have drawn them: shaken, thickened here and there, with gaps."""

from __future__ import annotations

import cv2
import numpy as np

# The strengths below were chosen on pictures of this side; others scale with theirs.
_REFERENCE = 128


def rough_lines(lines: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A hand's version of an exact line map, (h, w) uint8, white on black.

    A map of 0 and 255 alone stays one; soft strokes keep their grey levels.
    """
    height, width = lines.shape
    scale = min(height, width) / _REFERENCE
    shake = (rng.normal(size=(2, 10, 10)) * rng.uniform(0.2, 1.0) * scale).astype(np.float32)
    dx, dy = (cv2.resize(s, (width, height), interpolation=cv2.INTER_CUBIC) for s in shake)
    columns, rows = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    rough = cv2.remap(lines, columns + dx, rows + dy, cv2.INTER_LINEAR)
    if rng.random() < 0.4:
        side = max(2, round(2 * scale))
        rough = cv2.dilate(rough, np.ones((side, side), np.uint8))
    for _ in range(rng.integers(0, 4)):
        x, y = rng.integers(0, width), rng.integers(0, height)
        cv2.circle(rough, (int(x), int(y)), max(1, round(int(rng.integers(2, 8)) * scale)), 0, -1)
    if ((lines == 0) | (lines == 255)).all():
        return np.where(rough > 100, 255, 0).astype(np.uint8)
    return np.asarray(rough, np.uint8)
