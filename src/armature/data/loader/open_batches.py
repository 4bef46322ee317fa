"""From data, cached or not, to the batches that a training reads."""

from __future__ import annotations

import torch

from armature.conditions.contract import InputContract
from armature.data.cache.cache import Cache
from armature.data.encoding.encoder import Encoder
from armature.data.loader.loader import CachedBatches
from armature.data.loader.online import OnlineBatches
from armature.data.loader.sampler import Cut
from armature.data.samples.attempt import Report
from armature.data.samples.sample import Frames
from armature.errors import DatasetError


def open_batches(
    data: Cache | Frames,
    contract: InputContract,
    *,
    encoder: Encoder | None = None,
    batch: int,
    accumulate: int = 1,
    rank: int = 0,
    world: int = 1,
    seed: int = 0,
    workers: int = 2,
    device: torch.device | str = "cpu",
    variants: int | None = None,
    report: Report | None = None,
) -> CachedBatches | OnlineBatches:
    """Batches of one process.

    data: a cache, or frames, which `encoder` then encodes as they are needed. contract: the adapter's; decides
    channels and range of the control. batch, accumulate, rank, world: see Cut. workers: threads that read ahead; their
    number never changes the order. device: where cached batches go; those encoded here are on the encoder's device.
    variants, report: see OnlineBatches; a cache has its own variants, and its bad samples were reported by `prepare`.
    Raises DatasetError when there is nothing to learn from, RecipeError for impossible numbers.
    """
    cut = Cut(batch, accumulate, rank, world)
    if isinstance(data, Cache):
        return CachedBatches(data, contract, cut, seed=seed, workers=workers, device=device)
    if encoder is None:
        raise DatasetError(f"{data.name} is not cached, so an encoder is needed; give one, or prepare a cache.")
    return OnlineBatches(data, encoder, contract, cut, seed=seed, workers=workers, variants=variants, report=report)
