"""The held-out samples that are drawn while a training runs, and the sheets that show them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from armature.adapters.base import Adapter
from armature.bases.text import TextStates
from armature.conditions.contract import InputContract
from armature.data.encoding.batch import EncodedBatch
from armature.data.loader.loader import Batches
from armature.evaluation.files import write_picture
from armature.evaluation.maps import control_map
from armature.evaluation.sampler import PictureSampler
from armature.evaluation.sheet import contact_sheet
from armature.training.checkpoint.state import TrainerState
from armature.training.recipe.duration import Duration
from armature.training.trainer.callback import undisturbed

TITLES = ("control", "without", "with", "true")


@dataclass(frozen=True, eq=False)
class SampleGroup:
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
    def sample(self, sampler: PictureSampler, empty: TextStates, adapter: Adapter | None) -> list[np.ndarray]:
        """The pictures that the adapter's control, or none, leads to."""
        features = None if adapter is None else adapter(self.control.to(adapter.device, adapter.dtype))
        return sampler.sample(self.text, empty, features, self.size, self.seeds)


def held_out_groups(
    batches: Iterable[EncodedBatch],
    contract: InputContract,
    count: int,
    seed: int,
    has_content: Callable[[np.ndarray], bool] = lambda control: True,
) -> list[SampleGroup]:
    """The first `count` samples whose control has content; sample k has the seed `seed` + k. Kept on the CPU."""
    return list(_groups(batches, contract, count, seed, has_content))


def _groups(
    batches: Iterable[EncodedBatch],
    contract: InputContract,
    count: int,
    seed: int,
    has_content: Callable[[np.ndarray], bool],
) -> Iterator[SampleGroup]:
    taken = 0
    for batch in batches:
        maps = [control_map(control, contract) for control in batch.control]
        rows = [row for row, control in enumerate(maps) if has_content(control)][: count - taken]
        if rows:
            pooled = batch.text.pooled
            yield SampleGroup(
                control=batch.control[rows].cpu(),
                controls=tuple(maps[row] for row in rows),
                latents=batch.mean[rows].cpu(),
                text=TextStates(batch.text.states[rows].cpu(), None if pooled is None else pooled[rows].cpu()),
                seeds=tuple(range(seed + taken, seed + taken + len(rows))),
            )
            taken += len(rows)
        if taken >= count:
            return


@dataclass(eq=False)
class PreviewCallback:
    """Writes RUN/samples/step-00001000.png; the figures are none.

    folder: of the sheets. count: rows of a sheet. seed: of the first row; every sheet of a run has the same seeds.
    What does not depend on the adapter is drawn once.
    """

    every: Duration
    sampler: PictureSampler
    batches: Batches
    contract: InputContract
    folder: Path
    count: int = 4
    seed: int = 0
    _fixed: list[tuple[SampleGroup, list[np.ndarray], list[np.ndarray]]] = field(default_factory=list, init=False)

    def on_due(self, state: TrainerState, adapter: Adapter) -> dict[str, float]:
        """Draw a sheet; see Callback."""
        base = self.sampler.base.pipeline
        rows: list[list[np.ndarray]] = []
        with undisturbed(adapter, base.unet, base.vae):
            if not self._fixed:
                self._fixed = [self._sampled(group) for group in self._groups()]
            for group, without, true in self._fixed:
                drawn = group.sample(self.sampler, self.batches.empty, adapter)
                rows += [list(row) for row in zip(group.controls, without, drawn, true, strict=True)]
        if rows:
            write_picture(self.folder / sheet_name(state.step), contact_sheet(TITLES, rows))
        return {}

    def _groups(self) -> list[SampleGroup]:
        return held_out_groups(self.batches.held_out(), self.contract, self.count, self.seed)

    def _sampled(self, group: SampleGroup) -> tuple[SampleGroup, list[np.ndarray], list[np.ndarray]]:
        without = group.sample(self.sampler, self.batches.empty, None)
        return group, without, self.sampler.decode(group.latents)


def sheet_name(step: int) -> str:
    """The file of a step's sheet."""
    return f"step-{step:08d}.png"


def last_sheet(folder: Path) -> Path | None:
    """The sheet of the latest step in a folder, if there is any."""
    return max(folder.glob("step-*.png"), default=None)
