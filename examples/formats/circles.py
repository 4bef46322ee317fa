"""Coloured circles on a plain ground, numbered without end: `data.source = "circles"`.

A source of Armature's own is one such file in src/armature/data/sources/formats.
"""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from armature.data.settings import DataSettings
from armature.data.sources.source import Fingerprint, Sample, Source, SourceFormat
from armature.files import Digest

_COLOURS = {"red": (214, 48, 49), "yellow": (250, 212, 54), "green": (70, 170, 78), "blue": (52, 110, 220)}
_VERSION = 1


class Circles(Source):
    """Number -> a circle, its caption, and the exact map of its rim. side: of the pictures, in pixels."""

    def __init__(self, count: int, side: int) -> None:
        self._count, self._side = count, side

    @property
    def name(self) -> str:
        """How reports call it."""
        return "circles"

    @property
    def has_maps(self) -> bool:
        """Nothing has to be extracted."""
        return True

    @property
    def bucket_step(self) -> int | None:
        """All pictures are square."""
        return 0

    def __len__(self) -> int:
        return self._count

    def key(self, index: int) -> str:
        """The number, so that rows of samples sort as they were made."""
        return f"{index:08d}"

    def size(self, index: int) -> tuple[int, int] | None:
        """(width, height), known without drawing."""
        return self._side, self._side

    def read(self, index: int, *, mapped: bool = True) -> Sample:
        """The same number gives the same sample, in any thread and on any machine."""
        draw = np.random.default_rng([_VERSION, index])
        colour = list(_COLOURS)[draw.integers(len(_COLOURS))]
        x, y, radius = draw.integers(self._side // 4, 3 * self._side // 4, 2).tolist() + [self._side // 5]
        box = (x - radius, y - radius, x + radius, y + radius)
        picture = Image.new("RGB", (self._side, self._side), (235, 240, 250))
        ImageDraw.Draw(picture).ellipse(box, fill=_COLOURS[colour])
        rim = Image.new("L", picture.size)
        ImageDraw.Draw(rim).ellipse(box, outline=255, width=2)
        return Sample(
            self.key(index), np.asarray(picture), f"a {colour} ball on snow", np.asarray(rim) if mapped else None
        )

    def fingerprint(self) -> Fingerprint:
        """Drawn samples change with the code that draws them alone; pictures and maps change together."""
        digest = Digest("circles", _VERSION, self._count, self._side).hex
        return Fingerprint(digest, digest)


def _open(settings: DataSettings, kind: str) -> Circles:
    return Circles(settings.count or 1000, settings.resolution)


FORMAT = SourceFormat(
    fits=lambda source: float(source == "circles"), open=_open, exact_kinds=("sketch",), embedded_style=True
)
