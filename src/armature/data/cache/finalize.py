"""The last files of a store: where each sample lies, the empty caption, and the manifest that makes it whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from armature.data.cache.files import replacing
from armature.data.cache.manifest import VERSION, Holds, Manifest, ShardRecord, read_record, record_path
from armature.data.cache.shard_job import described, pairs
from armature.data.cache.shard_plan import ShardPlan
from armature.data.cache.shard_rows import text_tensors
from armature.data.cache.store import EMPTY, INDEX
from armature.data.encoding.encoder import Encoder
from armature.data.samples.sample import Frames
from armature.errors import DatasetError
from armature.files import sweep


def finish_store(
    holds: Holds, folder: Path, plans: list[ShardPlan], frames: Frames, encoder: Encoder, variants: int
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
    with replacing(folder / INDEX) as temporary:
        save_file(_index(plans, shards), temporary)
    empty = base = None
    if holds == "pictures":
        with replacing(folder / EMPTY) as temporary:
            save_file(text_tensors(encoder.empty(), [""]), temporary)
        empty = described(folder / EMPTY)
        base = f"{encoder.name}, text states in {str(encoder.text_dtype).removeprefix('torch.')}"
    Manifest(VERSION, holds, frames.name, base, variants, described(folder / INDEX), empty, shards).write(folder)
    sweep(folder)


def _index(plans: list[ShardPlan], records: tuple[ShardRecord, ...]) -> dict[str, torch.Tensor]:
    """Where each sample lies: number, variant, place, shard and row, each (rows of all shards,)."""
    columns: dict[str, list[np.ndarray]] = {name: [] for name in ("number", "variant", "place", "shard", "row")}
    for number, (plan, record) in enumerate(zip(plans, records, strict=True)):
        failed = {(failure.number, failure.variant) for failure in record.failed}
        good = np.array([pair not in failed for pair in pairs(plan)], bool)
        columns["number"].append(plan.numbers[good])
        columns["variant"].append(plan.variants[good].astype(np.int32))
        columns["place"].append(plan.places[good])
        columns["shard"].append(np.full(good.sum(), number, np.int32))
        columns["row"].append(np.arange(good.sum(), dtype=np.int32))
    return {name: torch.from_numpy(np.concatenate(parts)) for name, parts in columns.items()}
