"""Samples cropped to their buckets: what encoding and caching read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from armature.data.sources.source import BadSampleError, Fingerprint, Problem

# Is told the key of a bad sample and what is wrong with it; may raise to stop everything.
Report = Callable[[str, Problem], None]

# In place of pixels that were not asked for, or are no longer needed.
NOTHING = np.empty((0, 0, 3), np.uint8)


@dataclass(frozen=True, eq=False)
class CroppedSample:
    """A sample cropped to its bucket.

    number, variant: which one it is. pixels: (h, w, 3) uint8. control: (h, w) or (h, w, 3) uint8, in the form that the
    adapter's contract asks for, as a person would look at it: red first and 0..255; encoding brings it to the
    contract's channel order and range. NOTHING where only the picture was asked for.
    original, corner, target: SDXL's conditioning, (height, width), (top, left) and (height, width) in pixels.
    """

    number: int
    variant: int
    key: str
    caption: str
    pixels: np.ndarray
    original: tuple[int, int]
    corner: tuple[int, int]
    target: tuple[int, int]
    control: np.ndarray


class CroppedSamples(Protocol):
    """All samples of a training, cropped to their buckets, by number: what encoding and caching read."""

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
        """Changes when any crop would change: source and cropping, and, for the whole, extraction and contract."""
        ...

    def key(self, index: int) -> str:
        """A sample's name."""
        ...

    def bucket(self, index: int) -> tuple[int, int]:
        """(width, height) in pixels of its crop, known without reading the picture."""
        ...

    def load(self, index: int, variant: int = 0, *, with_control: bool = True) -> CroppedSample:
        """Read and crop it. Crop, flip and thresholds are drawn from the recipe's seed, key and variant alone;
        held-out samples are never flipped, cropped at random or roughened.

        with_control: without, the control is neither read nor extracted, and may be bad. Raises BadSampleError for a
        bad sample, which is skipped, and any other DatasetError when training must stop for it.
        """
        ...


@dataclass(frozen=True)
class Failure:
    """A sample that cannot be used: its number, variant and key, and why."""

    number: int
    variant: int
    key: str
    problem: Problem


def try_load(
    samples: CroppedSamples, number: int, variant: int, bucket: tuple[int, int], *, with_control: bool = True
) -> CroppedSample | Failure:
    """The cropped sample, or why there is none, so that the others keep their places.

    bucket: (width, height) that its batch has. Raises every DatasetError of `CroppedSamples.load` that is no
    BadSampleError: those must stop the training.
    """
    try:
        sample = samples.load(number, variant, with_control=with_control)
    except BadSampleError as error:
        return Failure(number, variant, error.key, error.problem)
    wanted = (bucket[1], bucket[0])
    sizes = {array.shape[:2] for array in (sample.pixels, sample.control) if array.size}
    if sizes == {wanted}:
        return sample
    reason = f"Its crop has (height, width) {sorted(sizes)}, and {wanted} was expected; the file changed meanwhile."
    return Failure(number, variant, sample.key, Problem("picture", reason))


class ReportOnce:
    """Passes every bad sample on to a report once, however many variants and epochs meet it."""

    def __init__(self, report: Report | None) -> None:
        self._report = report
        self._seen: set[str] = set()

    def __call__(self, failures: Iterable[Failure]) -> None:
        """Pass on those whose samples were not passed on before."""
        for failure in failures:
            if failure.key not in self._seen:
                self._seen.add(failure.key)
                if self._report is not None:
                    self._report(failure.key, failure.problem)


def by_bucket(samples: CroppedSamples, numbers: Sequence[int]) -> dict[tuple[int, int], np.ndarray]:
    """Places in `numbers` (not the numbers themselves) by bucket (width, height), buckets in ascending order."""
    known: dict[tuple[int, int], int] = {}
    which = np.fromiter((known.setdefault(samples.bucket(n), len(known)) for n in numbers), np.int32, len(numbers))
    return {size: np.flatnonzero(which == known[size]) for size in sorted(known)}
