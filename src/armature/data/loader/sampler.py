"""Which samples make which step: a pure function of the seed, so that any step can be found again."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from armature.errors import DatasetError, RecipeError

_SHUFFLE, _SEQUENCE, _VARIANT = 1, 2, 3
_ENDLESS = 2**31 - 1


def scrambled(*words: int | np.ndarray) -> np.ndarray:
    """64 bits that look random and depend on all words alone; uint64, of the words' common shape, at least 1-d.

    words: whole numbers from 0 to 2^63 - 1, or arrays of them. SplitMix64 (Steele et al. 2014) chained over the words:
    unlike a generator's, these numbers are the same under every version of NumPy.
    """
    state = np.zeros(1, np.uint64)
    for word in words:
        state = state + np.asarray(word).astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
        state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        state = state ^ (state >> np.uint64(31))
    return state


@dataclass(frozen=True)
class StepLayout:
    """How a step's samples are shared out.

    batch: samples of one process in one forward pass. accumulate: passes a step. rank, world: which process of how
    many. Raises RecipeError for numbers that cannot be.
    """

    batch: int
    accumulate: int = 1
    rank: int = 0
    world: int = 1

    def __post_init__(self) -> None:
        if min(self.batch, self.accumulate, self.world) < 1 or not 0 <= self.rank < self.world:
            raise RecipeError(
                f"batch {self.batch}, accumulate {self.accumulate}, process {self.rank} of {self.world}: expected "
                "positive numbers, and processes counted from 0."
            )

    @property
    def step(self) -> int:
        """Samples of one optimizer step, over all processes."""
        return self.accumulate * self.world * self.batch


@dataclass(frozen=True, eq=False)
class MicroBatch:
    """Which samples make a micro-batch of one process.

    bucket: (width, height). numbers, variants, positions: each (batch,) int64.
    """

    bucket: tuple[int, int]
    numbers: np.ndarray
    variants: np.ndarray
    positions: np.ndarray


class BucketBatchSampler:
    """The endless sequence of micro-batches of one process.

    buckets: sample numbers by (width, height). variants: how many crops a sample has; None draws from very many.
    Each epoch shuffles every bucket, cuts it into whole steps and shuffles the steps of all buckets; what is left over
    of a bucket is dropped in that epoch. A bucket that is smaller than one step repeats its samples, which `notes`
    tells. Raises DatasetError when there is nothing to learn from.
    """

    def __init__(
        self, buckets: Mapping[tuple[int, int], np.ndarray], layout: StepLayout, seed: int, variants: int | None = None
    ) -> None:
        # Sorted, so that the order in which somebody listed the samples means nothing.
        self.buckets = {size: np.sort(numbers).astype(np.int64) for size, numbers in sorted(buckets.items())}
        self.buckets = {size: numbers for size, numbers in self.buckets.items() if len(numbers)}
        if not self.buckets:
            raise DatasetError("There is no usable training sample; see the report of bad samples, or give more data.")
        self._layout, self._seed, self._variants = layout, seed, variants or _ENDLESS
        self._steps = [max(1, len(numbers) // layout.step) for numbers in self.buckets.values()]

    @property
    def steps_per_epoch(self) -> int:
        """Optimizer steps in one epoch."""
        return sum(self._steps)

    @property
    def notes(self) -> tuple[str, ...]:
        """One sentence on every bucket that is smaller than a step."""
        step = self._layout.step
        return tuple(
            f"Bucket {size[0]} x {size[1]} has {len(numbers)} samples and a step takes {step}: they are repeated to "
            "fill one step an epoch. A smaller batch or accumulation, or a larger bucket_step, avoids this."
            for size, numbers in self.buckets.items()
            if len(numbers) < step
        )

    def micro_batches(self, start: int) -> Iterator[MicroBatch]:
        """This process's micro-batches from optimizer step `start` on."""
        layout, per_epoch = self._layout, self.steps_per_epoch
        sizes = list(self.buckets)
        first_epoch, first = divmod(start, per_epoch)
        for epoch in itertools.count(first_epoch):
            which, samples = self._epoch(epoch)
            for step in range(first, per_epoch):
                for pass_ in range(layout.accumulate):
                    offset = (pass_ * layout.world + layout.rank) * layout.batch
                    offsets = np.arange(offset, offset + layout.batch)
                    numbers = samples[step, offsets]
                    positions = (epoch * per_epoch + step) * layout.step + offsets
                    variants = self._variants_of(epoch, numbers)
                    yield MicroBatch(sizes[which[step]], numbers, variants, positions)
            first = 0

    def _variants_of(self, epoch: int, numbers: np.ndarray) -> np.ndarray:
        return (scrambled(self._seed, _VARIANT, epoch, numbers) % np.uint64(self._variants)).astype(np.int64)

    def _epoch(self, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """(bucket of each step, samples of each step): (steps,) and (steps, samples in a step)."""
        parts = [self._bucket_epoch(numbers, epoch) for numbers in self.buckets.values()]
        which = np.repeat(np.arange(len(parts)), self._steps)
        sequence = np.argsort(scrambled(self._seed, _SEQUENCE, epoch, np.arange(len(which))), kind="stable")
        return which[sequence], np.concatenate(parts)[sequence]

    def _bucket_epoch(self, numbers: np.ndarray, epoch: int) -> np.ndarray:
        step = self._layout.step
        rounds = [
            numbers[np.argsort(scrambled(self._seed, _SHUFFLE, epoch, turn, numbers), kind="stable")]
            for turn in range(max(1, math.ceil(step / len(numbers))))
        ]
        shuffled = np.concatenate(rounds)
        count = max(1, len(numbers) // step)
        return shuffled[: count * step].reshape(count, step)
