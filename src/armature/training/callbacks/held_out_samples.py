"""The held-out samples that are drawn while a training runs: a few, always the same, each with its seed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from armature.adapters.base import Adapter
from armature.conditions.contract import InputContract
from armature.data.encoding.batch import EncodedBatch
from armature.data.encoding.text import TextStates
from armature.evaluation.maps import control_map
from armature.evaluation.sampler import PictureSampler


@dataclass(frozen=True, eq=False)
class Group:
    """Samples of one size, with everything that drawing them takes.

    control: as the adapter sees it. controls: the same as (h, w) or (h, w, 3) uint8, red first. latents: of the true
    pictures. text: of the captions. seeds: one each.
    """

    control: Tensor
    controls: tuple[np.ndarray, ...]
    latents: Tensor
    text: TextStates
    seeds: tuple[int, ...]

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return self.control.shape[-1], self.control.shape[-2]

    @torch.no_grad()
    def draw(self, painter: PictureSampler, empty: TextStates, adapter: Adapter | None) -> list[np.ndarray]:
        """The pictures that the adapter's control, or none, leads to."""
        features = None if adapter is None else adapter(self.control.to(adapter.device, adapter.dtype))
        return painter.sample(self.text, empty, features, self.size, self.seeds)


def held_out_groups(
    batches: Iterable[EncodedBatch],
    contract: InputContract,
    count: int,
    seed: int,
    has_content: Callable[[np.ndarray], bool] = lambda control: True,
) -> list[Group]:
    """The first `count` samples whose control has content; sample k has the seed `seed` + k. Kept on the CPU."""
    return list(_groups(batches, contract, count, seed, has_content))


def _groups(
    batches: Iterable[EncodedBatch],
    contract: InputContract,
    count: int,
    seed: int,
    has_content: Callable[[np.ndarray], bool],
) -> Iterator[Group]:
    taken = 0
    for batch in batches:
        maps = [control_map(control, contract) for control in batch.control]
        rows = [row for row, control in enumerate(maps) if has_content(control)][: count - taken]
        if rows:
            pooled = batch.text.pooled
            yield Group(
                control=batch.control[rows].cpu(),
                controls=tuple(maps[row] for row in rows),
                latents=batch.mean[rows].cpu(),
                text=TextStates(batch.text.states[rows].cpu(), None if pooled is None else pooled[rows].cpu()),
                seeds=tuple(range(seed + taken, seed + taken + len(rows))),
            )
            taken += len(rows)
        if taken >= count:
            return
