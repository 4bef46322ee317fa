"""Encode all samples once, before training, into a cache that any later training with the same settings finds."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from armature.data.cache.cache import EMPTY, INDEX, Cache, Store, cache_folders
from armature.data.cache.manifest import (
    VERSION,
    Holds,
    Manifest,
    ShardPlan,
    ShardRecord,
    Written,
    plan_shards,
    read_record,
    record_path,
    write_record,
    writing,
)
from armature.data.cache.shard import control_tensors, picture_tensors, text_tensors, write_shard
from armature.data.encoding.encoder import Encoder
from armature.data.prefetch import Prefetch
from armature.data.samples.sample import (
    NOTHING,
    CroppedSample,
    CroppedSamples,
    Failure,
    Report,
    ReportOnce,
    try_load,
)
from armature.data.settings import CacheSettings
from armature.errors import DatasetError
from armature.files import sweep

# Is told how many samples this process has done, of how many.
Progress = Callable[[int, int], None]
_HOLDS: tuple[Holds, Holds] = ("pictures", "controls")


def prepare(
    samples: CroppedSamples,
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
    """The cache of these samples: each of its two stores found whole, finished after an interruption, or made.

    Process `rank` of `world` makes shards rank, rank + world, ...; all must see the same folder. The first process
    writes the manifests when all have passed `barrier`, which is called exactly twice. A bad sample is handed to
    `report` once a process, also when the cache was there already; what `report` raises ends the preparation, and what
    is done stays. workers: threads that read and crop pictures ahead.
    What a killed preparation left half-written is removed.
    Raises DatasetError when there are no samples, the disk is full or refuses, an encoder overflows, or another process
    has ended; it names the file or sample.
    """
    folders = cache_folders(samples, encoder, settings)
    report_once = ReportOnce(report)
    stores: dict[Holds, Store | None] = {holds: Store.whole(folders.of(holds)) for holds in _HOLDS}
    for store in stores.values():
        for shard in () if store is None else store.manifest.shards[rank::world]:
            report_once(shard.failed)
    lacking: dict[Holds, Path] = {holds: folders.of(holds) for holds, store in stores.items() if store is None}
    plans = plan_shards(samples, settings.variants, settings.shard) if lacking else []
    if lacking and not plans:
        raise DatasetError(f"{samples.name} has no samples; there is nothing to prepare. Check data.source.")
    if rank == 0:
        for folder in lacking.values():
            sweep(folder)
    count = _Count(progress, sum(len(plan.numbers) for plan in plans[rank::world]))
    maker = _ShardMaker(samples, encoder, lacking, workers, report_once, count.add)
    for number in range(rank, len(plans), world):
        maker.shard(number, plans[number])
    _wait(barrier)
    for holds, folder in lacking.items():
        if rank == 0:
            _finalize(holds, folder, plans, samples, encoder, settings.variants)
    _wait(barrier)
    pictures, controls = (stores[holds] or _written(folders.of(holds)) for holds in _HOLDS)
    return Cache(pictures, controls)


def _wait(barrier: Callable[[], None]) -> None:
    try:
        barrier()
    except RuntimeError as error:  # what torch.distributed raises when a process was killed
        reason = str(error).strip().splitlines() or ["no reason given"]
        raise DatasetError(
            f"Another process of this preparation has ended ({reason[0]}). What is done stays: start again, and it "
            "goes on with what is missing."
        ) from error


class _Count:
    """Samples done, told to the caller's progress."""

    def __init__(self, progress: Progress | None, total: int) -> None:
        self._progress, self._total, self._done = progress, total, 0

    def add(self, count: int) -> None:
        self._done += count
        if self._progress is not None:
            self._progress(self._done, self._total)


def _written(folder: Path) -> Store:
    store = Store.whole(folder)
    if store is None:
        raise DatasetError(
            f"There is no finished cache in {folder} although all processes are done; all of them must see the same "
            "cache.folder: give one that the machines share."
        )
    return store


@dataclass
class _Made:
    """What has come of one store's shard so far: keys of its rows, and the samples that failed."""

    keys: list[str] = field(default_factory=list)
    failed: list[Failure] = field(default_factory=list)


class _ShardMaker:
    """One process's share of a preparation: shards of the stores that lack them, each sample loaded once for both.

    lacking: the stores that are not whole, with their folders. done: told how many samples were done.
    """

    def __init__(
        self,
        samples: CroppedSamples,
        encoder: Encoder,
        lacking: Mapping[Holds, Path],
        workers: int,
        report_once: ReportOnce,
        done: Callable[[int], None],
    ) -> None:
        self._samples, self._encoder, self._lacking = samples, encoder, lacking
        self._workers, self._report_once, self._done = workers, report_once, done

    def shard(self, number: int, plan: ShardPlan) -> None:
        """Make a shard in every store that lacks it. Raises DatasetError when it cannot be written."""
        missing: dict[Holds, _Made] = {}
        for holds, folder in self._lacking.items():
            record = read_record(folder, number, plan.digest())
            if record is None:
                missing[holds] = _Made()
            else:
                self._report_once(record.failed)
        if not missing:
            self._done(len(plan.numbers))
            return
        controls: list[CroppedSample] = []
        long_before = self._encoder.truncated
        with closing(self._loaded(plan, missing, controls)) as loaded:
            pictures = (sample for sample in loaded if sample is not None)
            if "pictures" not in missing:
                for _ in loaded:
                    self._done(1)
            elif (first := next(pictures, None)) is not None:
                tensors = picture_tensors(self._encoder, itertools.chain([first], pictures), self._done)
                write_shard(self._path("pictures", number), tensors, missing["pictures"].keys)
        if controls:
            write_shard(self._path("controls", number), control_tensors(controls), missing["controls"].keys)
        self._done(len(next(iter(missing.values())).failed))
        for holds, made in missing.items():
            truncated = self._encoder.truncated - long_before if holds == "pictures" else 0
            written = Written.of(self._path(holds, number)) if made.keys else None
            told = (plan.split, plan.bucket, plan.digest(), len(made.keys), truncated, tuple(made.failed))
            write_record(self._lacking[holds], number, ShardRecord(written, *told))

    def _path(self, holds: Holds, number: int) -> Path:
        return record_path(self._lacking[holds], number).with_suffix(".safetensors")

    def _loaded(
        self, plan: ShardPlan, missing: Mapping[Holds, _Made], controls: list[CroppedSample]
    ) -> Generator[CroppedSample | None]:
        """The samples whose pictures can be used, or as many times None where only controls are missing; those with
        controls are added to `controls`, and everything that fails is reported.
        """

        def load(row: tuple[int, int]) -> dict[Holds, CroppedSample | Failure]:
            return self._load(*row, plan.bucket, missing)

        ahead = Prefetch(plan.rows, load, workers=self._workers)
        try:
            for loaded in ahead:
                for holds, sample in loaded.items():
                    if isinstance(sample, Failure):
                        missing[holds].failed.append(sample)
                        self._report_once([sample])
                        continue
                    missing[holds].keys.append(sample.key)
                    if holds == "controls":
                        controls.append(replace(sample, pixels=NOTHING))
                    if holds == "pictures" or len(missing) == 1:
                        yield sample if holds == "pictures" else None
        finally:
            ahead.close()

    def _load(
        self, number: int, variant: int, bucket: tuple[int, int], missing: Mapping[Holds, _Made]
    ) -> dict[Holds, CroppedSample | Failure]:
        """The sample, by what wants it."""
        loaded: dict[Holds, CroppedSample | Failure] = {}
        if "controls" in missing:
            loaded["controls"] = try_load(self._samples, number, variant, bucket)
        if "pictures" in missing:
            picture = loaded.get("controls")
            # Its control alone may be what failed; adapters of other kinds can use the picture.
            if picture is None or isinstance(picture, Failure):
                picture = try_load(self._samples, number, variant, bucket, with_control=False)
            loaded["pictures"] = picture
        return loaded


def _finalize(
    holds: Holds, folder: Path, plans: list[ShardPlan], samples: CroppedSamples, encoder: Encoder, variants: int
) -> None:
    """Write the index, for pictures the empty caption and, when all else is on disk, the manifest.

    Raises DatasetError when a shard is not there, or the disk refuses.
    """
    records = [read_record(folder, number, plan.digest()) for number, plan in enumerate(plans)]
    if absent := [number for number, record in enumerate(records) if record is None]:
        raise DatasetError(
            f"{folder} lacks {record_path(folder, absent[0]).stem}, which another process was to write; all processes "
            "must see the same cache.folder: give one that the machines share."
        )
    shards = tuple(record for record in records if record is not None)
    with writing(folder / INDEX) as temporary:
        save_file(_index(plans, shards), temporary)
    empty = base = None
    if holds == "pictures":
        with writing(folder / EMPTY) as temporary:
            save_file(text_tensors(encoder.empty(), [""]), temporary)
        empty = Written.of(folder / EMPTY)
        base = f"{encoder.name}, text states in {str(encoder.text_dtype).removeprefix('torch.')}"
    Manifest(VERSION, holds, samples.name, base, variants, Written.of(folder / INDEX), empty, shards).write(folder)
    sweep(folder)


def _index(plans: list[ShardPlan], records: tuple[ShardRecord, ...]) -> dict[str, torch.Tensor]:
    """Where each sample lies: number, variant, place, shard and row, each (rows of all shards,)."""
    columns: dict[str, list[np.ndarray]] = {name: [] for name in ("number", "variant", "place", "shard", "row")}
    for number, (plan, record) in enumerate(zip(plans, records, strict=True)):
        failed = {(failure.number, failure.variant) for failure in record.failed}
        good = np.array([pair not in failed for pair in plan.rows], bool)
        columns["number"].append(plan.numbers[good])
        columns["variant"].append(plan.variants[good].astype(np.int32))
        columns["place"].append(plan.places[good])
        columns["shard"].append(np.full(good.sum(), number, np.int32))
        columns["row"].append(np.arange(good.sum(), dtype=np.int32))
    return {name: torch.from_numpy(np.concatenate(parts)) for name, parts in columns.items()}
