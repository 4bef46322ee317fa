"""The forms that training data takes on its way: as found, framed, encoded, and gathered in a batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from torch import Tensor

from armature.data.bad import Problem


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


@dataclass(frozen=True, eq=False)
class TextStates:
    """What the text encoders say of n captions: states (n, tokens, width); pooled (n, width) for SDXL, else None."""

    states: Tensor
    pooled: Tensor | None


@dataclass(frozen=True, eq=False)
class EncodedBatch:
    """n encoded samples of one bucket, before anything random of a training step has happened to them.

    keys: their names. positions: (n,) int64, the number of each in the whole stream of samples since the first step,
    over all processes; randomness of a step derives from it alone.
    mean, std: (n, c, h, w) of the autoencoder's posterior, already scaled. text: of their captions.
    control: (n, channels, 8h, 8w) in the contract's range. time_ids: (n, 6) for SDXL (original, corner, target), else
    None.
    """

    keys: Sequence[str]
    positions: Tensor
    mean: Tensor
    std: Tensor
    text: TextStates
    control: Tensor
    time_ids: Tensor | None


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


class Batches(Protocol):
    """Encoded batches, from a cache or made as they are needed.

    A step learns from accumulate x world x batch samples of one bucket, cut into `accumulate` micro-batches, each cut
    into one slice a process; so one process with twice the batch, or with twice the accumulation, sees the same
    samples in the same order as two processes.
    """

    @property
    def empty(self) -> TextStates:
        """The states of the empty caption, n = 1."""
        ...

    def steps_per_epoch(self) -> int:
        """Optimizer steps that pass over the training samples once; what is left over of a bucket is dropped then."""
        ...

    def stream(self, start: int) -> Iterator[EncodedBatch]:
        """This process's micro-batches from optimizer step `start` on, endlessly; `start` = 7 begins exactly where a
        stream from 0 would be after 7 steps.
        """
        ...

    def held_out(self) -> Iterator[EncodedBatch]:
        """All held-out samples once, in a fixed order, in batches of at most the batch size; same in every process."""
        ...

    def close(self) -> None:
        """Stop threads that prepare ahead."""
        ...
