"""Measures how well pictures of held-out samples follow their control."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from armature.adapters.base import Adapter
from armature.conditions.contract import InputContract
from armature.data.loader.loader import Batches
from armature.errors import ConditionError
from armature.evaluation.fidelity import Measure, gap_closed
from armature.evaluation.sampler import PictureSampler
from armature.training.callbacks.preview import SampleGroup, held_out_groups
from armature.training.checkpoint.state import TrainerState
from armature.training.recipe.duration import Duration
from armature.training.trainer.callback import undisturbed


@dataclass(frozen=True, eq=False)
class _Reference:
    """What does not depend on the adapter: the samples, and the measure's means without it and at best."""

    groups: list[SampleGroup]
    without: float
    ceiling: float


_NOT_MEASURED = _Reference([], 0.0, 0.0)


@dataclass(eq=False)
class ControlFidelityCallback:
    """Figures "fidelity/edge_f1" (or the kind's), "..._without", "..._ceiling", and "fidelity/closed".

    Without and ceiling (true pictures through the autoencoder) are measured once. closed: share of the gap
    between them; left out where there is none. count: samples, those whose control says something.
    note: is told once when nothing can be measured, for want of an extractor's weights for instance; a training goes on
    without.
    """

    every: Duration
    sampler: PictureSampler
    batches: Batches
    contract: InputContract
    measure: Measure
    count: int = 8
    seed: int = 0
    note: Callable[[str], None] = lambda words: None
    _reference: _Reference | None = field(default=None, init=False)

    def on_due(self, state: TrainerState, adapter: Adapter) -> dict[str, float]:
        """Draw and measure; see Callback. No figures when no held-out control says anything."""
        base = self.sampler.base.pipeline
        with undisturbed(adapter, base.unet, base.vae):
            reference = self._reference = self._reference or self._first()
            if not reference.groups:
                return {}
            drawn = [(group, group.sample(self.sampler, self.batches.empty, adapter)) for group in reference.groups]
            now = self._mean(drawn)
        name = f"fidelity/{self.measure.name}"
        figures = {name: now, f"{name}_without": reference.without, f"{name}_ceiling": reference.ceiling}
        closed = gap_closed(reference.without, now, reference.ceiling)
        return figures if closed is None else {**figures, "fidelity/closed": closed}

    def _first(self) -> _Reference:
        try:
            reference = self._measured()
        except ConditionError as error:
            self.note(f"Control fidelity is not measured: {error}")
            return _NOT_MEASURED
        if not reference.groups:
            self.note("Control fidelity is not measured: no held-out control says anything.")
        return reference

    def _measured(self) -> _Reference:
        has_content = self.measure.has_content
        groups = held_out_groups(self.batches.held_out(), self.contract, self.count, self.seed, has_content)
        if not groups:
            return _NOT_MEASURED
        without = [(group, group.sample(self.sampler, self.batches.empty, None)) for group in groups]
        ceiling = [(group, self.sampler.decode(group.latents)) for group in groups]
        return _Reference(groups, self._mean(without), self._mean(ceiling))

    def _mean(self, drawn: list[tuple[SampleGroup, list[np.ndarray]]]) -> float:
        scores = [
            self.measure.score(control, picture)
            for group, pictures in drawn
            for control, picture in zip(group.controls, pictures, strict=True)
        ]
        return float(np.mean(scores))
