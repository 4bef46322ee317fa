"""Rendering styles: how a fill colour and its contour look, and what the whole sheet gets at the end."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np

from armature.toyworld.palette import RGB, TINTS
from armature.toyworld.shapes import shade


@dataclass(frozen=True)
class Look:
    """Style and hour together: turns a surface's own colour into what is painted.

    style: one of palette.STYLES. time: one of palette.TIMES.
    """

    style: str
    time: str

    def surface(self, colour: RGB, glow: bool = False) -> RGB:
        """The painted RGB of a surface under the light of the hour, in this style."""
        if self.style == "pastel":
            colour = _mix(colour, (250, 244, 240), 0.34)
        if glow:
            return colour
        r, g, b = (int(c * t) for c, t in zip(colour, TINTS[self.time], strict=True))
        return r, g, b

    def contour(self, colour: RGB) -> tuple[RGB | None, float]:
        """Contour colour and its width in pixels for a surface of the given colour; (None, 0) without contours."""
        if self.style == "outlined":
            return ((34, 30, 44), 0.9)
        if self.style == "pastel":
            return (self.surface(shade(colour, 0.62)), 0.9)
        if self.style == "crayon":
            return (self.surface(shade(colour, 0.55)), 1.1)
        return (None, 0.0)

    @property
    def wobble(self) -> float:
        """Standard deviation, in pixels of a 128-pixel scene, by which drawn points stray."""
        return 0.35 if self.style == "crayon" else 0.0

    def finish(self, picture: np.ndarray) -> np.ndarray:
        """The finished sheet: crayon strokes let the paper through; other styles pass unchanged."""
        if self.style != "crayon":
            return picture
        side = picture.shape[0]
        grain = _strokes(side)[..., None]
        return np.clip(picture + (255 - picture.astype(np.float32)) * grain, 0, 255).astype(np.uint8)


def _mix(colour: RGB, other: RGB, share: float) -> RGB:
    r, g, b = (int(a * (1 - share) + o * share) for a, o in zip(colour, other, strict=True))
    return r, g, b


@cache
def _strokes(side: int) -> np.ndarray:
    """Share of paper white that shines through crayon: broad, soft diagonal strokes, 0..0.18, (side, side)."""
    noise = np.random.default_rng(7).normal(size=(side, side)).astype(np.float32)
    kernel = np.zeros((25, 25), np.float32)
    cv2.line(kernel, (3, 21), (21, 3), 1.0, 3, cv2.LINE_AA)
    grain = cv2.filter2D(noise, -1, kernel / kernel.sum(), borderType=cv2.BORDER_WRAP)
    grain = (grain - grain.mean()) / grain.std()
    return np.clip(0.08 + 0.035 * grain, 0.0, 0.18).astype(np.float32)
