"""What is to lie in a cache, shard by shard, and what the cache says about itself when it does."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import TypeAdapter
from safetensors import SafetensorError

from armature.data.samples.sample import CroppedSamples, Failure, by_bucket
from armature.errors import DatasetError
from armature.files import Digest, file_digest, replacing

VERSION = 3
MANIFEST = "manifest.json"

# A cache has two stores: what the base's encoders say of pictures and captions, and the control maps.
Holds = Literal["pictures", "controls"]
SplitName = Literal["training", "held_out"]


@dataclass(frozen=True, eq=False)
class ShardPlan:
    """One file of a cache, n rows of one bucket (width, height).

    numbers, variants: of each row. places: where the number stands in `CroppedSamples.training` or `.held_out`. All
    (n,) int64; the variants of a sample lie side by side.
    """

    split: SplitName
    bucket: tuple[int, int]
    numbers: np.ndarray
    variants: np.ndarray
    places: np.ndarray

    @property
    def rows(self) -> list[tuple[int, int]]:
        """Number and variant of each row."""
        return list(zip(self.numbers.tolist(), self.variants.tolist(), strict=True))

    def digest(self) -> str:
        """Tells whether a file on disk was made by this plan."""
        rows = (array.astype("<i8").tobytes() for array in (self.numbers, self.variants, self.places))
        return Digest(self.split, *self.bucket, *rows).hex


def plan_shards(samples: CroppedSamples, variants: int, rows: int) -> list[ShardPlan]:
    """All shards of a cache: the training samples in all variants, then the held-out ones in variant 0.

    rows: most rows of a shard; a sample's variants are never torn apart, even where there are more of them.
    """
    training = _plan_split(samples, "training", samples.training, variants, rows)
    return training + _plan_split(samples, "held_out", samples.held_out, 1, rows)


def _plan_split(
    samples: CroppedSamples, split: SplitName, numbers: Sequence[int], variants: int, rows: int
) -> list[ShardPlan]:
    plans = []
    all_numbers = np.fromiter(numbers, np.int64, len(numbers))
    at_once = max(1, rows // variants)
    for bucket, places in by_bucket(samples, numbers).items():
        for first in range(0, len(places), at_once):
            chosen = np.repeat(places[first : first + at_once].astype(np.int64), variants)
            drawn = np.tile(np.arange(variants, dtype=np.int64), len(chosen) // variants)
            plans.append(ShardPlan(split, bucket, all_numbers[chosen], drawn, chosen))
    return plans


@dataclass(frozen=True)
class Written:
    """A file of a cache: its name in the folder, bytes and BLAKE2b checksum."""

    file: str
    size: int
    checksum: str

    def __post_init__(self) -> None:
        # A manifest is a file like others; it must not lead out of its folder.
        if Path(self.file).name != self.file or not self.file or self.size < 0:
            raise ValueError(f"{self.file!r} of {self.size} bytes is no file beside it")

    @classmethod
    def of(cls, path: Path) -> Written:
        """Of a file that was just written. Raises DatasetError when it cannot be read back."""
        try:
            return cls(path.name, path.stat().st_size, file_digest(path))
        except OSError as error:
            raise DatasetError(
                f"{path} cannot be read back ({error.strerror}); check the disk and start again."
            ) from error


@dataclass(frozen=True)
class ShardRecord:
    """One shard: its file (None when every sample of it failed), its place in the cache, and how it went.

    plan: digest of the ShardPlan. rows: samples in it. truncated: captions too long for the text encoders.
    """

    written: Written | None
    split: SplitName
    bucket: tuple[int, int]
    plan: str
    rows: int
    truncated: int
    failed: tuple[Failure, ...]

    @classmethod
    def from_json(cls, text: str) -> ShardRecord:
        """Undo `asdict` and JSON. Raises ValueError for anything else."""
        return TypeAdapter(cls).validate_json(text, strict=True)

    def __post_init__(self) -> None:
        if min(self.bucket) < 1 or self.rows < 0 or (self.rows > 0) != (self.written is not None):
            raise ValueError(f"a shard of {self.rows} rows of {self.bucket} px is none")


@dataclass(frozen=True)
class Manifest:
    """A whole store of a cache. holds: what it stores. data: name of the samples. base: whose encoders were asked, and
    in which precision the text states are; None in a store of controls.

    index: the file that tells where each sample lies; empty: the states of no caption, None in a store of controls.
    """

    version: int
    holds: Holds
    data: str
    base: str | None
    variants: int
    index: Written
    empty: Written | None
    shards: tuple[ShardRecord, ...]

    def __post_init__(self) -> None:
        if self.variants < 1 or (self.holds == "pictures") != (self.empty is not None):
            raise ValueError(f"{self.variants} variants of {self.holds} are no store")

    @property
    def failed(self) -> tuple[Failure, ...]:
        """Every variant that could not be made."""
        return tuple(failure for shard in self.shards for failure in shard.failed)

    def files(self) -> Sequence[Written]:
        """Everything that has to be there."""
        others = [self.empty, *(shard.written for shard in self.shards)]
        return [self.index, *(written for written in others if written is not None)]

    def write(self, folder: Path) -> None:
        """Write it whole. Raises DatasetError when that fails."""
        _write_json(folder / MANIFEST, self)

    @classmethod
    def read(cls, folder: Path) -> Manifest | None:
        """The manifest of a folder, or None when there is none. Raises DatasetError for an unreadable one."""
        path = folder / MANIFEST
        try:
            return TypeAdapter(cls).validate_json(path.read_text(encoding="utf-8"), strict=True)
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            reason = " ".join(str(error).split())[:200]
            raise DatasetError(
                f"{path} is no manifest of a cache ({reason}). Delete this file and prepare the cache again; whole "
                "shards are kept."
            ) from error


def record_path(folder: Path, number: int) -> Path:
    """Where the record of a shard lies until, and after, the manifest is written."""
    return folder / f"shard-{number:05d}.json"


def write_record(folder: Path, number: int, record: ShardRecord) -> None:
    """Say that a shard is whole. Raises DatasetError when that cannot be written."""
    _write_json(record_path(folder, number), record)


def read_record(folder: Path, number: int, plan: str) -> ShardRecord | None:
    """The record of a shard that was made by this plan and is whole on disk, by its size; else None."""
    try:
        record = ShardRecord.from_json(record_path(folder, number).read_text(encoding="utf-8"))
        there = record.written is None or (folder / record.written.file).stat().st_size == record.written.size
    except (OSError, ValueError):
        return None
    return record if there and record.plan == plan else None


@contextmanager
def writing(path: Path) -> Iterator[Path]:
    """`armature.files.replacing` for a file of a cache, whose folder is made.

    Raises DatasetError, which names the file, when the disk is full or refuses.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            yield temporary
    except (OSError, SafetensorError) as error:
        raise DatasetError(
            f"{path} cannot be written ({error}). Nothing half-written counts as done: make room or choose another "
            "cache.folder, and start again; it goes on with what is missing."
        ) from error


def _write_json(path: Path, content: Manifest | ShardRecord) -> None:
    with writing(path) as temporary:
        temporary.write_text(json.dumps(asdict(content), indent=1) + "\n", encoding="utf-8")
