"""Which samples lie in which shard of a cache: decided before anything is read, the same in every process."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from armature.data.samples.sample import Frames, by_bucket

Part = Literal["training", "held_out"]


@dataclass(frozen=True, eq=False)
class ShardPlan:
    """One file of a cache, n rows of one bucket (width, height).

    numbers, variants: of each row. places: where the number stands in `Frames.training` or `Frames.held_out`. All
    (n,) int64; the variants of a sample lie side by side.
    """

    part: Part
    bucket: tuple[int, int]
    numbers: np.ndarray
    variants: np.ndarray
    places: np.ndarray

    def digest(self) -> str:
        """Tells whether a file on disk was made by this plan."""
        digest = hashlib.blake2b(f"{self.part} {self.bucket}".encode(), digest_size=16)
        for array in (self.numbers, self.variants, self.places):
            digest.update(array.astype("<i8").tobytes())
        return digest.hexdigest()


def plan_shards(frames: Frames, variants: int, rows: int) -> list[ShardPlan]:
    """All shards of a cache: the training samples in all variants, then the held-out ones in variant 0.

    rows: most rows of a shard; a sample's variants are never torn apart, even where there are more of them.
    """
    training = _plan_part(frames, "training", frames.training, variants, rows)
    return training + _plan_part(frames, "held_out", frames.held_out, 1, rows)


def _plan_part(frames: Frames, part: Part, numbers: Sequence[int], variants: int, rows: int) -> list[ShardPlan]:
    plans = []
    all_numbers = np.fromiter(numbers, np.int64, len(numbers))
    samples = max(1, rows // variants)
    for bucket, places in by_bucket(frames, numbers).items():
        for first in range(0, len(places), samples):
            chosen = np.repeat(places[first : first + samples].astype(np.int64), variants)
            drawn = np.tile(np.arange(variants, dtype=np.int64), len(chosen) // variants)
            plans.append(ShardPlan(part, bucket, all_numbers[chosen], drawn, chosen))
    return plans
