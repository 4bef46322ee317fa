"""What a source of samples is, and a sample as its source has it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from armature.data.sources.bad import Problem


@dataclass(frozen=True, eq=False)
class Sample:
    """One sample as its source has it.

    key: names it in reports; unique within its source. picture: (h, w, 3) uint8, upright (EXIF applied).
    caption: never empty. condition: its map, (h, w) or (h, w, 3) uint8, in the picture's frame; None if it has to be
    extracted.
    mirrored: the map of the mirrored picture, where the source knows it better than by mirroring the map: a pose's left
    and right have colours of their own. notes: what was done to picture and map on reading them, in sentences.
    """

    key: str
    picture: np.ndarray
    caption: str
    condition: np.ndarray | None
    mirrored: np.ndarray | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Fingerprint:
    """What content is told apart by.

    pictures: changes when a picture, its caption or its frame would. whole: also when a condition map would.
    """

    pictures: str
    whole: str


class Source(Protocol):
    """Samples by number. Reading the same number again gives the same sample."""

    @property
    def name(self) -> str:
        """How reports call it."""
        ...

    def __len__(self) -> int: ...

    def fingerprint(self) -> Fingerprint:
        """Changes when what `read` gives would change; cheap next to reading everything."""
        ...

    def key(self, index: int) -> str:
        """The key of a sample, without reading it."""
        ...

    def problem(self, index: int) -> Problem | None:
        """What makes a sample unusable, as far as can be told without opening its picture; else None."""
        ...

    def size(self, index: int) -> tuple[int, int] | None:
        """(width, height) of its upright picture, from the file's header alone; None when that cannot be read."""
        ...

    def read(self, index: int, *, mapped: bool = True) -> Sample:
        """Read it, without its map unless `mapped`. Raises BadSampleError, which names the sample, for one that cannot
        be used.
        """
        ...
