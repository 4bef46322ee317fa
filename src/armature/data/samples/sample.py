"""Samples cropped to their buckets: what encoding and caching read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from armature.data.sources.source import Fingerprint


@dataclass(frozen=True, eq=False)
class Picture:
    """The picture of a sample, cropped to its bucket: all that the base's encoders read of it.

    pixels: (h, w, 3) uint8.
    original, corner, target: SDXL's conditioning, (height, width), (top, left) and (height, width) in pixels.
    """

    key: str
    caption: str
    pixels: np.ndarray
    original: tuple[int, int]
    corner: tuple[int, int]
    target: tuple[int, int]


@dataclass(frozen=True, eq=False)
class Framed(Picture):
    """A sample cropped to its bucket.

    control: (h, w) or (h, w, 3) uint8, in the form that the adapter's contract asks for, as a person would look at it:
    red first and 0..255; encoding brings it to the contract's channel order and range.
    """

    control: np.ndarray

    @classmethod
    def of(cls, picture: Picture, control: np.ndarray) -> Framed:
        """A framed picture and its control."""
        parts = (picture.key, picture.caption, picture.pixels, picture.original, picture.corner, picture.target)
        return cls(*parts, control)


class Frames(Protocol):
    """All samples of a training, framed, by number: what encoding and caching read."""

    @property
    def name(self) -> str:
        """How reports call the data."""
        ...

    @property
    def training(self) -> Sequence[int]:
        """Numbers of the samples to learn from, always in the same order."""
        ...

    @property
    def held_out(self) -> Sequence[int]:
        """Numbers of the samples kept apart; none of them is in `training`."""
        ...

    def fingerprint(self) -> Fingerprint:
        """Changes when any frame would change: source and framing, and, for the whole, extraction and contract."""
        ...

    def key(self, index: int) -> str:
        """A sample's name."""
        ...

    def bucket(self, index: int) -> tuple[int, int]:
        """(width, height) in pixels of its frame, known without reading the picture."""
        ...

    def frame(self, index: int, variant: int = 0) -> Framed:
        """Read and frame it. Crop, flip and thresholds are drawn from the recipe's seed, key and variant alone;
        held-out samples are never flipped, cropped at random or roughened. Raises BadSampleError for a bad sample,
        which is skipped, and any other DatasetError when training must stop for it.
        """
        ...

    def picture(self, index: int, variant: int = 0) -> Picture:
        """The same without its control, which may then be bad."""
        ...


def by_bucket(frames: Frames, numbers: Sequence[int]) -> dict[tuple[int, int], np.ndarray]:
    """Places in `numbers` (not the numbers themselves) by bucket (width, height), buckets in ascending order."""
    known: dict[tuple[int, int], int] = {}
    which = np.fromiter((known.setdefault(frames.bucket(n), len(known)) for n in numbers), np.int32, len(numbers))
    return {size: np.flatnonzero(which == known[size]) for size in sorted(known)}
