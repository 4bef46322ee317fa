"""Watches how well pictures of held-out samples follow their control."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from armature.conditions.contract import InputContract
from armature.data.loader.loader import Batches
from armature.errors import ConditionError
from armature.evaluation.fidelity import Measure, gap_closed
from armature.evaluation.sampler import PictureSampler
from armature.training.callbacks.callback import Moment
from armature.training.callbacks.held_out_samples import Group, held_out_groups
from armature.training.callbacks.undisturbed import undisturbed
from armature.training.recipe.duration import Duration


@dataclass(frozen=True, eq=False)
class _Fixed:
    """What does not depend on the adapter: the samples, and the measure's means without it and at best."""

    groups: list[Group]
    without: float
    ceiling: float


_NOTHING = _Fixed([], 0.0, 0.0)


@dataclass(eq=False)
class ControlFidelityWatcher:
    """Figures "fidelity/edge_f1" (or the kind's), "..._without", "..._ceiling", and "fidelity/closed".

    Without and ceiling (true pictures through the autoencoder) are measured once. closed: share of the distance
    between them; left out where there is none. count: samples, those whose control says something.
    note: is told once when nothing can be measured, for want of an extractor's weights for instance; a training goes on
    without.
    """

    every: Duration
    painter: PictureSampler
    batches: Batches
    contract: InputContract
    measure: Measure
    count: int = 8
    seed: int = 0
    note: Callable[[str], None] = lambda words: None
    _fixed: _Fixed | None = field(default=None, init=False)

    def watch(self, moment: Moment) -> dict[str, float]:
        """Draw and measure; see Watcher. No figures when no held-out control says anything."""
        base = self.painter.base.pipeline
        with undisturbed(moment.adapter, base.unet, base.vae):
            fixed = self._fixed = self._fixed or self._first()
            if not fixed.groups:
                return {}
            now = self._mean(
                [(group, group.draw(self.painter, self.batches.empty, moment.adapter)) for group in fixed.groups]
            )
        name = f"fidelity/{self.measure.name}"
        figures = {name: now, f"{name}_without": fixed.without, f"{name}_ceiling": fixed.ceiling}
        closed = gap_closed(fixed.without, now, fixed.ceiling)
        return figures if closed is None else {**figures, "fidelity/closed": closed}

    def _first(self) -> _Fixed:
        try:
            fixed = self._measured()
        except ConditionError as error:
            self.note(f"Control fidelity is not measured: {error}")
            return _NOTHING
        if not fixed.groups:
            self.note("Control fidelity is not measured: no held-out control says anything.")
        return fixed

    def _measured(self) -> _Fixed:
        has_content = self.measure.has_content
        groups = held_out_groups(self.batches.held_out(), self.contract, self.count, self.seed, has_content)
        if not groups:
            return _NOTHING
        without = [(group, group.draw(self.painter, self.batches.empty, None)) for group in groups]
        ceiling = [(group, self.painter.decode(group.latents)) for group in groups]
        return _Fixed(groups, self._mean(without), self._mean(ceiling))

    def _mean(self, drawn: list[tuple[Group, list[np.ndarray]]]) -> float:
        scores = [
            self.measure.score(control, picture)
            for group, pictures in drawn
            for control, picture in zip(group.controls, pictures, strict=True)
        ]
        return float(np.mean(scores))
