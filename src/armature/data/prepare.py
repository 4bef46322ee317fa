"""Encode all samples once, before training, into a cache that any later training with the same settings finds."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from armature.data.attempt import Failure, Once, Report, try_frame
from armature.data.cache import EMPTY, INDEX, Cache, cache_folder
from armature.data.encode import Encoder
from armature.data.files import file_digest, replacing, sweep
from armature.data.manifest import (
    VERSION,
    Manifest,
    ShardRecord,
    Written,
    read_record,
    record_path,
    write_record,
)
from armature.data.prefetch import Prefetch
from armature.data.sample import Framed, Frames
from armature.data.settings import CacheSettings
from armature.data.shard import write_shard
from armature.data.shard_plan import ShardPlan, plan_shards
from armature.data.shard_rows import Row, shard_tensors, text_tensors
from armature.errors import DatasetError

# Is told how many samples this process has done, of how many.
Progress = Callable[[int, int], None]


def prepare(
    frames: Frames,
    encoder: Encoder,
    settings: CacheSettings,
    *,
    report: Report | None = None,
    progress: Progress | None = None,
    workers: int = 2,
    rank: int = 0,
    world: int = 1,
    barrier: Callable[[], None] = lambda: None,
) -> Cache:
    """The cache of these samples: found whole, finished after an interruption, or made.

    Process `rank` of `world` makes shards rank, rank + world, ...; all must see the same folder. The first process
    writes the manifest when all have passed `barrier`, which is called exactly twice. A bad sample is handed to
    `report` once a process, also when the cache was there already; what `report` raises ends the preparation, and what
    is done stays. workers: threads that read and frame pictures ahead.
    Raises DatasetError when there are no samples, the disk is full or refuses, or an encoder overflows; it names the
    file or sample.
    """
    folder = cache_folder(frames, encoder, settings)
    once = Once(report)
    cache = _whole(folder)
    if cache is None:
        plans = plan_shards(frames, settings.variants, settings.shard)
        if not plans:
            raise DatasetError(f"{frames.name} has no samples; there is nothing to prepare. Check data.source.")
        count = _Count(progress, sum(len(plan.numbers) for plan in plans[rank::world]))
        job = _Job(frames, encoder, folder, workers, once, count)
        for number in range(rank, len(plans), world):
            job.shard(number, plans[number])
        barrier()
        if rank == 0:
            _finish(folder, plans, frames, encoder, settings)
    else:
        for shard in cache.manifest.shards[rank::world]:
            for failure in shard.failed:
                once.tell(failure)
        barrier()
    barrier()
    if cache is None and (cache := _whole(folder)) is None:
        raise DatasetError(
            f"There is no finished cache in {folder} although all processes are done; all of them must see the same "
            "cache.folder: give one that the machines share."
        )
    return cache


class _Count:
    """Samples done, told to the caller's progress."""

    def __init__(self, progress: Progress | None, total: int) -> None:
        self._progress, self._total, self._done = progress, total, 0

    def add(self, count: int) -> None:
        self._done += count
        if self._progress is not None:
            self._progress(self._done, self._total)


class _Job:
    """One process's share of the work."""

    def __init__(self, frames: Frames, encoder: Encoder, folder: Path, workers: int, once: Once, count: _Count) -> None:
        self._frames, self._encoder, self._folder = frames, encoder, folder
        self._workers, self._once, self._count = workers, once, count

    def shard(self, number: int, plan: ShardPlan) -> None:
        """Make a shard, or keep it when it is whole."""
        record = read_record(self._folder, number, plan.digest())
        if record is None:
            self._make(number, plan)
            return
        for failure in record.failed:
            self._once.tell(failure)
        self._count.add(len(plan.numbers))

    def _make(self, number: int, plan: ShardPlan) -> None:
        failed: list[Failure] = []
        keys: list[str] = []
        long_before = self._encoder.truncated
        written = None
        with closing(self._rows(plan, keys, failed)) as rows:
            first = next(rows, None)
            if first is not None:
                path = record_path(self._folder, number).with_suffix(".safetensors")
                tensors = shard_tensors(self._encoder, itertools.chain([first], rows), self._count.add)
                write_shard(path, tensors, keys)
                written = _described(path)
        self._count.add(len(failed))
        truncated = self._encoder.truncated - long_before
        write_record(
            self._folder,
            number,
            ShardRecord(written, plan.part, plan.bucket, plan.digest(), len(keys), truncated, tuple(failed)),
        )

    def _rows(self, plan: ShardPlan, keys: list[str], failed: list[Failure]) -> Generator[Row]:
        """The rows that can be framed, their keys added to `keys`; the others are reported and added to `failed`."""

        def work(pair: tuple[int, int]) -> tuple[int, int, Framed | Failure]:
            return *pair, try_frame(self._frames, *pair, plan.bucket)

        ahead = Prefetch(_pairs(plan), work, workers=self._workers)
        try:
            for number, variant, framed in ahead:
                if isinstance(framed, Failure):
                    failed.append(framed)
                    self._once.tell(framed)
                else:
                    keys.append(framed.key)
                    yield Row(number, variant, framed)
        finally:
            ahead.close()


def _pairs(plan: ShardPlan) -> Iterator[tuple[int, int]]:
    return zip(plan.numbers.tolist(), plan.variants.tolist(), strict=True)


def _whole(folder: Path) -> Cache | None:
    """The finished cache in the folder, or None when anything is missing."""
    try:
        manifest = Manifest.read(folder)
        return None if manifest is None else Cache(folder, manifest)
    except DatasetError:
        # Whatever is damaged is made again, which is what the message would tell the user to ask for.
        return None


def _finish(folder: Path, plans: list[ShardPlan], frames: Frames, encoder: Encoder, settings: CacheSettings) -> None:
    """Write the index, the empty caption and, when all else is on disk, the manifest."""
    records = [read_record(folder, number, plan.digest()) for number, plan in enumerate(plans)]
    if absent := [number for number, record in enumerate(records) if record is None]:
        raise DatasetError(
            f"{folder} lacks {record_path(folder, absent[0]).stem}, which another process was to write; all processes "
            "must see the same cache.folder: give one that the machines share."
        )
    shards = tuple(record for record in records if record is not None)
    with replacing(folder / INDEX) as temporary:
        save_file(_index(plans, shards), temporary)
    with replacing(folder / EMPTY) as temporary:
        save_file(text_tensors(encoder.empty(), [""]), temporary)
    Manifest(
        VERSION,
        encoder.name,
        frames.name,
        str(encoder.text_dtype).removeprefix("torch."),
        settings.variants,
        _described(folder / INDEX),
        _described(folder / EMPTY),
        shards,
    ).write(folder)
    sweep(folder)


def _index(plans: list[ShardPlan], records: tuple[ShardRecord, ...]) -> dict[str, torch.Tensor]:
    """Where each sample lies: number, variant, place, shard and row, each (rows of all shards,)."""
    columns: dict[str, list[np.ndarray]] = {name: [] for name in ("number", "variant", "place", "shard", "row")}
    for number, (plan, record) in enumerate(zip(plans, records, strict=True)):
        failed = {(failure.number, failure.variant) for failure in record.failed}
        good = np.array([pair not in failed for pair in _pairs(plan)], bool)
        columns["number"].append(plan.numbers[good])
        columns["variant"].append(plan.variants[good].astype(np.int32))
        columns["place"].append(plan.places[good])
        columns["shard"].append(np.full(good.sum(), number, np.int32))
        columns["row"].append(np.arange(good.sum(), dtype=np.int32))
    return {name: torch.from_numpy(np.concatenate(parts)) for name, parts in columns.items()}


def _described(path: Path) -> Written:
    try:
        return Written(path.name, path.stat().st_size, file_digest(path))
    except OSError as error:
        raise DatasetError(f"{path} cannot be read back ({error.strerror}); check the disk and start again.") from error
