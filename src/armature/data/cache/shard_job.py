"""One process's share of preparing a cache: shards, one after another, into whichever of its stores lacks them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeGuard

from armature.data.cache.manifest import Holds, ShardRecord, Written, read_record, record_path, write_record
from armature.data.cache.shard import write_shard
from armature.data.cache.shard_plan import ShardPlan
from armature.data.cache.shard_rows import ControlRow, PictureRow, control_tensors, picture_tensors
from armature.data.encoding.encoder import Encoder
from armature.data.prefetch import Prefetch
from armature.data.samples.attempt import Failure, Found, Once, try_frame, try_picture
from armature.data.samples.sample import Framed, Frames, Picture
from armature.errors import DatasetError
from armature.files import file_digest


@dataclass
class _Made:
    """What has come of one store's shard so far: keys of its rows, and the samples that failed."""

    keys: list[str] = field(default_factory=list)
    failed: list[Failure] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class _Read:
    """A sample as a thread read it: its picture, and the frame with its control; None where nothing wants one."""

    number: int
    variant: int
    picture: Picture | Failure | None
    framed: Framed | Failure | None


class ShardJob:
    """Makes shards of the stores that lack them; a frame is made once, whichever of them want it.

    lacking: the stores that are not whole, with their folders. done: told how many samples were done.
    """

    def __init__(
        self,
        frames: Frames,
        encoder: Encoder,
        lacking: Mapping[Holds, Path],
        workers: int,
        once: Once,
        done: Callable[[int], None],
    ) -> None:
        self._frames, self._encoder, self._lacking = frames, encoder, lacking
        self._workers, self._once, self._done = workers, once, done

    def shard(self, number: int, plan: ShardPlan) -> None:
        """Make a shard in every store that lacks it. Raises DatasetError when it cannot be written."""
        missing: dict[Holds, _Made] = {}
        for holds, folder in self._lacking.items():
            record = read_record(folder, number, plan.digest())
            if record is None:
                missing[holds] = _Made()
            else:
                self._once.tell_all(record.failed)
        if missing:
            self._make(number, plan, missing)
        else:
            self._done(len(plan.numbers))

    def _make(self, number: int, plan: ShardPlan, missing: Mapping[Holds, _Made]) -> None:
        controls: list[ControlRow] = []
        long_before = self._encoder.truncated
        with closing(self._rows(plan, missing, controls)) as rows:
            pictures = (row for row in rows if row is not None)
            if "pictures" not in missing:
                for _ in rows:
                    self._done(1)
            elif (first := next(pictures, None)) is not None:
                tensors = picture_tensors(self._encoder, itertools.chain([first], pictures), self._done)
                write_shard(self._path("pictures", number), tensors, missing["pictures"].keys)
        if controls:
            write_shard(self._path("controls", number), control_tensors(controls), missing["controls"].keys)
        self._done(len(next(iter(missing.values())).failed))
        for holds, made in missing.items():
            truncated = self._encoder.truncated - long_before if holds == "pictures" else 0
            written = described(self._path(holds, number)) if made.keys else None
            record = ShardRecord(
                written, plan.part, plan.bucket, plan.digest(), len(made.keys), truncated, tuple(made.failed)
            )
            write_record(self._lacking[holds], number, record)

    def _path(self, holds: Holds, number: int) -> Path:
        return record_path(self._lacking[holds], number).with_suffix(".safetensors")

    def _rows(
        self, plan: ShardPlan, missing: Mapping[Holds, _Made], controls: list[ControlRow]
    ) -> Generator[PictureRow | None]:
        """The pictures that can be framed, or as many times None where only controls are missing; controls are added
        to `controls`, and everything that fails is reported.
        """

        def work(pair: tuple[int, int]) -> _Read:
            return self._read(*pair, plan.bucket, missing)

        ahead = Prefetch(pairs(plan), work, workers=self._workers)
        try:
            for read in ahead:
                framed, picture = read.framed, read.picture
                if framed is not None and self._good(framed, missing["controls"]):
                    controls.append(ControlRow(read.number, read.variant, framed.control))
                    if picture is None:
                        yield None
                if picture is not None and self._good(picture, missing["pictures"]):
                    yield PictureRow(read.number, read.variant, picture)
        finally:
            ahead.close()

    def _read(self, number: int, variant: int, bucket: tuple[int, int], missing: Mapping[Holds, _Made]) -> _Read:
        framed = try_frame(self._frames, number, variant, bucket) if "controls" in missing else None
        if "pictures" not in missing:
            return _Read(number, variant, None, framed)
        if framed is not None and not isinstance(framed, Failure):
            return _Read(number, variant, framed, framed)
        # Its control alone may be what failed; adapters of other kinds can use the picture.
        return _Read(number, variant, try_picture(self._frames, number, variant, bucket), framed)

    def _good(self, found: Found | Failure, made: _Made) -> TypeGuard[Found]:
        if isinstance(found, Failure):
            made.failed.append(found)
            self._once.tell(found)
            return False
        made.keys.append(found.key)
        return True


def pairs(plan: ShardPlan) -> Iterator[tuple[int, int]]:
    """Number and variant of each row of a plan."""
    return zip(plan.numbers.tolist(), plan.variants.tolist(), strict=True)


def described(path: Path) -> Written:
    """What is recorded of a file that was written. Raises DatasetError when it cannot be read back."""
    try:
        return Written(path.name, path.stat().st_size, file_digest(path))
    except OSError as error:
        raise DatasetError(f"{path} cannot be read back ({error.strerror}); check the disk and start again.") from error
