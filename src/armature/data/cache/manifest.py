"""What a cache says about itself: its shards, their sizes and checksums, and the samples that failed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from armature.data.cache.files import write_text
from armature.data.cache.shard_plan import Part
from armature.data.samples.attempt import Failure
from armature.data.sources.bad import Problem
from armature.errors import DatasetError

VERSION = 2
MANIFEST = "manifest.json"

# A cache has two stores: what the base's encoders say of pictures and captions, and the control maps.
Holds = Literal["pictures", "controls"]


@dataclass(frozen=True)
class Written:
    """A file of a cache: its name in the folder, bytes and BLAKE2b checksum."""

    file: str
    size: int
    checksum: str


@dataclass(frozen=True)
class ShardRecord:
    """One shard: its file (None when every sample of it failed), its place in the cache, and how it went.

    plan: digest of the ShardPlan. rows: samples in it. truncated: captions too long for the text encoders.
    """

    written: Written | None
    part: Part
    bucket: tuple[int, int]
    plan: str
    rows: int
    truncated: int
    failed: tuple[Failure, ...]

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> ShardRecord:
        """Undo `asdict` and JSON. Raises KeyError or TypeError for anything else."""
        written = values["written"]
        failed = [Failure(**{**failure, "problem": Problem(**failure["problem"])}) for failure in values["failed"]]
        return cls(
            **{
                **values,
                "written": None if written is None else Written(**written),
                "bucket": tuple(values["bucket"]),
                "failed": tuple(failed),
            }
        )


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

    @property
    def failed(self) -> tuple[Failure, ...]:
        """Every framing that could not be made."""
        return tuple(failure for shard in self.shards for failure in shard.failed)

    def files(self) -> Sequence[Written]:
        """Everything that has to be there."""
        others = [self.empty, *(shard.written for shard in self.shards)]
        return [self.index, *(written for written in others if written is not None)]

    def write(self, folder: Path) -> None:
        """Write it whole. Raises DatasetError when that fails."""
        write_text(folder / MANIFEST, json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def read(cls, folder: Path) -> Manifest | None:
        """The manifest of a folder, or None when there is none. Raises DatasetError for an unreadable one."""
        path = folder / MANIFEST
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            return cls(
                **{
                    **values,
                    "index": Written(**values["index"]),
                    "empty": None if values["empty"] is None else Written(**values["empty"]),
                    "shards": tuple(ShardRecord.from_json(shard) for shard in values["shards"]),
                }
            )
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DatasetError(
                f"{path} is no manifest of a cache ({error}). Delete this file and prepare the cache again; whole "
                "shards are kept."
            ) from error


def record_path(folder: Path, number: int) -> Path:
    """Where the record of a shard lies until, and after, the manifest is written."""
    return folder / f"shard-{number:05d}.json"


def write_record(folder: Path, number: int, record: ShardRecord) -> None:
    """Say that a shard is whole. Raises DatasetError when that cannot be written."""
    write_text(record_path(folder, number), json.dumps(asdict(record), indent=1) + "\n")


def read_record(folder: Path, number: int, plan: str) -> ShardRecord | None:
    """The record of a shard that was made by this plan and is whole on disk, by its size; else None."""
    try:
        record = ShardRecord.from_json(json.loads(record_path(folder, number).read_text(encoding="utf-8")))
        there = record.written is None or (folder / record.written.file).stat().st_size == record.written.size
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return record if there and record.plan == plan else None
