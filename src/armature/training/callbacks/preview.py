"""Draws sheets of held-out samples: control, without the adapter, with it, and the true picture."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from armature.conditions.contract import InputContract
from armature.data.loader.loader import Batches
from armature.evaluation.files import write_picture
from armature.evaluation.sampler import PictureSampler
from armature.evaluation.sheet import contact_sheet
from armature.training.callbacks.callback import Moment
from armature.training.callbacks.held_out_samples import Group, held_out_groups
from armature.training.callbacks.undisturbed import undisturbed
from armature.training.recipe.duration import Duration

TITLES = ("control", "without", "with", "true")


@dataclass(eq=False)
class PreviewWatcher:
    """Writes RUN/samples/step-00001000.png; the figures are none.

    folder: of the sheets. count: rows of a sheet. seed: of the first row; every sheet of a run has the same seeds.
    What does not depend on the adapter is drawn once.
    """

    every: Duration
    painter: PictureSampler
    batches: Batches
    contract: InputContract
    folder: Path
    count: int = 4
    seed: int = 0
    _fixed: list[tuple[Group, list[np.ndarray], list[np.ndarray]]] = field(default_factory=list, init=False)

    def watch(self, moment: Moment) -> dict[str, float]:
        """Draw a sheet; see Watcher."""
        base = self.painter.base.pipeline
        rows: list[list[np.ndarray]] = []
        with undisturbed(moment.adapter, base.unet, base.vae):
            if not self._fixed:
                self._fixed = [self._drawn(group) for group in self._groups()]
            for group, without, true in self._fixed:
                drawn = group.draw(self.painter, self.batches.empty, moment.adapter)
                rows += [list(row) for row in zip(group.controls, without, drawn, true, strict=True)]
        if rows:
            write_picture(self.folder / sheet_name(moment.step), contact_sheet(TITLES, rows))
        return {}

    def _groups(self) -> list[Group]:
        return held_out_groups(self.batches.held_out(), self.contract, self.count, self.seed)

    def _drawn(self, group: Group) -> tuple[Group, list[np.ndarray], list[np.ndarray]]:
        without = group.draw(self.painter, self.batches.empty, None)
        return group, without, self.painter.decode(group.latents)


def sheet_name(step: int) -> str:
    """The file of a step's sheet."""
    return f"step-{step:08d}.png"


def last_sheet(folder: Path) -> Path | None:
    """The sheet of the latest step in a folder, if there is any."""
    return max(folder.glob("step-*.png"), default=None)
