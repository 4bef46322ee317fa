"""Encode all samples once, before training, into a cache that any later training with the same settings finds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from armature.data.cache.cache import Cache, cache_folders
from armature.data.cache.finalize import finish_store
from armature.data.cache.manifest import Holds
from armature.data.cache.shard_job import ShardJob
from armature.data.cache.shard_plan import plan_shards
from armature.data.cache.store import Store
from armature.data.encoding.encoder import Encoder
from armature.data.samples.attempt import Once, Report
from armature.data.samples.sample import Frames
from armature.data.settings import CacheSettings
from armature.errors import DatasetError

# Is told how many samples this process has done, of how many.
Progress = Callable[[int, int], None]
_HOLDS: tuple[Holds, Holds] = ("pictures", "controls")


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
    """The cache of these samples: each of its two stores found whole, finished after an interruption, or made.

    Process `rank` of `world` makes shards rank, rank + world, ...; all must see the same folder. The first process
    writes the manifests when all have passed `barrier`, which is called exactly twice. A bad sample is handed to
    `report` once a process, also when the cache was there already; what `report` raises ends the preparation, and what
    is done stays. workers: threads that read and frame pictures ahead.
    Raises DatasetError when there are no samples, the disk is full or refuses, or an encoder overflows; it names the
    file or sample.
    """
    folders = cache_folders(frames, encoder, settings)
    once = Once(report)
    stores: dict[Holds, Store | None] = {holds: Store.whole(folders.of(holds)) for holds in _HOLDS}
    for store in stores.values():
        for shard in () if store is None else store.manifest.shards[rank::world]:
            once.tell_all(shard.failed)
    lacking: dict[Holds, Path] = {holds: folders.of(holds) for holds, store in stores.items() if store is None}
    plans = plan_shards(frames, settings.variants, settings.shard) if lacking else []
    if lacking and not plans:
        raise DatasetError(f"{frames.name} has no samples; there is nothing to prepare. Check data.source.")
    count = _Count(progress, sum(len(plan.numbers) for plan in plans[rank::world]))
    job = ShardJob(frames, encoder, lacking, workers, once, count.add)
    for number in range(rank, len(plans), world):
        job.shard(number, plans[number])
    barrier()
    for holds, folder in lacking.items():
        if rank == 0:
            finish_store(holds, folder, plans, frames, encoder, settings.variants)
    barrier()
    pictures, controls = (stores[holds] or _written(folders.of(holds)) for holds in _HOLDS)
    return Cache(pictures, controls)


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
