"""A painter's canvas that keeps the picture and the exact truth about it in step.

Everything is drawn at twice the final size and area-averaged down: smooth edges in the picture and in the line maps,
while labels (which object, which class) stay hard.
"""

from __future__ import annotations

import cv2
import numpy as np

from armature.toyworld.palette import RGB

SUPERSAMPLING = 2
_SHIFT = 4
_SUBPIXEL = 1 << _SHIFT


class Canvas:
    """Picture (S, S, 3) uint8, owner (S, S) uint8 and two line drawings (S, S) uint8, all at S = 2 x size."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.side = size * SUPERSAMPLING
        self.rgb = np.zeros((self.side, self.side, 3), np.uint8)
        self.owner = np.zeros((self.side, self.side), np.uint8)
        self.sketch = np.zeros((self.side, self.side), np.uint8)
        self.edges = np.zeros((self.side, self.side), np.uint8)
        self._sketch_width = max(1, round(self.side / 64))
        self._edge_width = max(1, round(self.side / 128))

    def fill(
        self,
        points: np.ndarray,
        colour: RGB,
        owner: int | None,
        *,
        outline: RGB | None = None,
        outline_width: float = 0.0,
        detail: bool = False,
    ) -> None:
        """Paint one closed outline over what is there, in the picture and in every map.

        points: (n, 2) in pixels of the final size, y down. owner: number of the object or ground, None leaves the
        owner below in place (clouds in the sky). outline: RGB of a contour of outline_width final pixels, or None.
        """
        pts = [self._fixed(points)]
        cv2.fillPoly(self.rgb, pts, colour, cv2.LINE_AA, _SHIFT)
        if outline is not None:
            cv2.polylines(self.rgb, pts, True, outline, self._width(outline_width), cv2.LINE_AA, _SHIFT)
        if owner is not None:
            cv2.fillPoly(self.owner, pts, owner, cv2.LINE_8, _SHIFT)
        cv2.fillPoly(self.edges, pts, 0, cv2.LINE_8, _SHIFT)
        cv2.polylines(self.edges, pts, True, 255, self._edge_width, cv2.LINE_AA, _SHIFT)
        if not detail:
            cv2.fillPoly(self.sketch, pts, 0, cv2.LINE_8, _SHIFT)
            cv2.polylines(self.sketch, pts, True, 255, self._sketch_width, cv2.LINE_AA, _SHIFT)

    def paint(self, points: np.ndarray, colour: RGB) -> None:
        """Colour the picture only: soft shadows and stars that no map knows."""
        cv2.fillPoly(self.rgb, [self._fixed(points)], colour, cv2.LINE_AA, _SHIFT)

    def melt(self, points: np.ndarray, colour: RGB, owner: int | None) -> None:
        """Paint an outline that has no lines of its own and hides those below: shapes of one colour become one."""
        pts = [self._fixed(points)]
        cv2.fillPoly(self.rgb, pts, colour, cv2.LINE_AA, _SHIFT)
        if owner is not None:
            cv2.fillPoly(self.owner, pts, owner, cv2.LINE_8, _SHIFT)
        cv2.fillPoly(self.edges, pts, 0, cv2.LINE_8, _SHIFT)
        cv2.fillPoly(self.sketch, pts, 0, cv2.LINE_8, _SHIFT)

    def erase_lines(self, points: np.ndarray) -> None:
        """Remove drawn lines inside an outline, where shapes of one colour melt together."""
        pts = [self._fixed(points)]
        cv2.fillPoly(self.edges, pts, 0, cv2.LINE_8, _SHIFT)
        cv2.fillPoly(self.sketch, pts, 0, cv2.LINE_8, _SHIFT)

    def darken(self, outlines: list[np.ndarray], factor: float) -> None:
        """Multiply the picture inside the union of some outlines by a factor: the shadow of a paper cut-out."""
        fixed = [self._fixed(points) for points in outlines]
        low = np.clip(np.min([f.min(0) for f in fixed], 0) // _SUBPIXEL - 1, 0, self.side)
        high = np.clip(np.max([f.max(0) for f in fixed], 0) // _SUBPIXEL + 2, 0, self.side)
        if (high <= low).any():
            return
        window = self.rgb[low[1] : high[1], low[0] : high[0]]
        mask = np.full(window.shape[:2], 255, np.uint8)
        corner = (low * _SUBPIXEL).astype(np.int32)
        for points in fixed:
            cv2.fillPoly(mask, [points - corner], round(255 * factor), cv2.LINE_AA, _SHIFT)
        cv2.multiply(window, cv2.merge((mask, mask, mask)), window, 1 / 255)

    def picture(self) -> np.ndarray:
        """(size, size, 3) uint8 RGB."""
        return self._down(self.rgb)

    def lines(self, which: np.ndarray) -> np.ndarray:
        """A line drawing at the final size, (size, size) uint8, 0 or 255: white on black."""
        return np.where(self._down(which) >= 96, 255, 0).astype(np.uint8)

    def labels(self) -> np.ndarray:
        """(size, size) uint8 owner numbers, nearest neighbour."""
        return self.owner[1::SUPERSAMPLING, 1::SUPERSAMPLING].copy()

    def _down(self, array: np.ndarray) -> np.ndarray:
        return cv2.resize(array, (self.size, self.size), interpolation=cv2.INTER_AREA)

    def _width(self, final_pixels: float) -> int:
        return max(1, round(final_pixels * SUPERSAMPLING))

    def _fixed(self, points: np.ndarray) -> np.ndarray:
        # Pixel centres: coordinate 0 is the outer edge of the first pixel.
        return np.rint(points * (SUPERSAMPLING * _SUBPIXEL) - 0.5 * _SUBPIXEL).astype(np.int32)
