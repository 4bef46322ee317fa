"""The window of a picture that becomes its frame: scaled to cover its bucket, cut, and perhaps mirrored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from armature.conditions.picture.fit import Content, resize


@dataclass(frozen=True)
class Window:
    """How a picture is framed; the same for its condition map, whatever size that has.

    original: (height, width) of the upright picture. scaled: (height, width) of it once it covers the bucket.
    target: (height, width) of the bucket. top, left: of the window in the scaled picture before it is mirrored.
    """

    original: tuple[int, int]
    scaled: tuple[int, int]
    target: tuple[int, int]
    top: int
    left: int
    mirrored: bool

    @property
    def corner(self) -> tuple[int, int]:
        """(top, left) as SDXL is told it: in the picture as it is shown, so mirrored with it."""
        return (self.top, self._far_left if self.mirrored else self.left)

    @property
    def enlarges(self) -> bool:
        """Whether the picture is smaller than its bucket."""
        return self.scaled[0] > self.original[0] or self.scaled[1] > self.original[1]

    def cut(self, pixels: np.ndarray, content: Content) -> np.ndarray:
        """The frame of a picture or map: (h, w[, 3]) uint8 of any size to target's size."""
        frame = self._crop(pixels, content, self.left)
        return np.ascontiguousarray(frame[:, ::-1]) if self.mirrored else frame

    def cut_mirrored(self, pixels: np.ndarray, content: Content) -> np.ndarray:
        """The frame of a map that shows the mirrored picture already."""
        return self._crop(pixels, content, self._far_left)

    @property
    def _far_left(self) -> int:
        return self.scaled[1] - self.target[1] - self.left

    def _crop(self, pixels: np.ndarray, content: Content, left: int) -> np.ndarray:
        scaled = resize(pixels, self.scaled, content)
        height, width = self.target
        return np.ascontiguousarray(scaled[self.top : self.top + height, left : left + width])


def place_window(
    size: tuple[int, int],
    bucket: tuple[int, int],
    crop: Literal["centre", "random"],
    mirrored: bool,
    rng: np.random.Generator,
) -> Window:
    """The window of a picture: scaled by as little as covers its bucket, then cut.

    size, bucket: (width, height) in pixels.
    """
    width, height = size
    factor = max(bucket[0] / width, bucket[1] / height)
    # Rounding must never leave a covering picture one pixel short.
    scaled = (max(round(height * factor), bucket[1]), max(round(width * factor), bucket[0]))
    spare = (scaled[0] - bucket[1], scaled[1] - bucket[0])
    if crop == "random":
        top, left = (int(rng.integers(0, room + 1)) for room in spare)
    else:
        top, left = spare[0] // 2, spare[1] // 2
    return Window((height, width), scaled, (bucket[1], bucket[0]), top, left, mirrored)
