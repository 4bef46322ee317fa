"""The callbacks that a recipe asks for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from armature.adapters.base import Adapter
from armature.bases.open import Base
from armature.bases.schedule import NoiseSchedule
from armature.conditions.contract import InputContract
from armature.data.loader.loader import Batches
from armature.errors import ConditionError
from armature.evaluation.fidelity import Measure
from armature.evaluation.measure_for import measure_for
from armature.evaluation.sampler import PictureSampler
from armature.training.callbacks.fidelity import ControlFidelityCallback
from armature.training.callbacks.held_out_loss import HeldOutLoss, HeldOutLossCallback
from armature.training.callbacks.preview import PreviewCallback
from armature.training.checkpoint.state import TrainerState
from armature.training.recipe.duration import Duration
from armature.training.recipe.model import Recipe
from armature.training.trainer.callback import Callback

SAMPLES = "samples"


def build_callbacks(
    recipe: Recipe,
    base: Base,
    contract: InputContract,
    batches: Batches,
    *,
    arithmetic: torch.dtype = torch.float32,
    run: str | Path | None = None,
    note: Callable[[str], None] = lambda words: None,
) -> list[Callback]:
    """Held-out loss, control fidelity and previews, as far as `[eval]` asks for them; cheap ones first.

    arithmetic: what float32 weights compute in: the training's own, so that both losses are of one kind.
    run: the run folder, recipe.run unless given. note: is told why fidelity cannot be measured, where it cannot.
    """
    wanted, seed = recipe.eval, recipe.train.seed
    if recipe.data.held_out == 0:
        return []
    callbacks: list[Callback] = []
    sampler = PictureSampler(base, steps=wanted.steps, guidance=wanted.guidance)
    if wanted.every is not None:
        schedule = NoiseSchedule.of(base.pipeline.scheduler)
        held_out = HeldOutLoss(base.pipeline.unet, schedule.alphas, schedule.prediction, arithmetic=arithmetic)
        callbacks.append(HeldOutLossCallback(wanted.every, held_out, batches))
        measure = _measure(recipe, base, contract, note) if wanted.fidelity_samples else None
        if measure is not None:
            count = wanted.fidelity_samples
            callbacks.append(
                ControlFidelityCallback(wanted.every, sampler, batches, contract, measure, count, seed, note)
            )
    if wanted.preview_every is not None:
        folder, count = Path(run or recipe.run) / SAMPLES, wanted.preview_samples
        callbacks.append(PreviewCallback(wanted.preview_every, sampler, batches, contract, folder, count, seed))
    return [VaeOnDevice(callback, base.pipeline.vae, base.place.device) for callback in callbacks]


@dataclass(frozen=True, eq=False)
class VaeOnDevice:
    """A callback for whose time the autoencoder is on the training's device again: decoding elsewhere takes minutes."""

    callback: Callback
    vae: torch.nn.Module
    device: torch.device

    @property
    def every(self) -> Duration:
        """The callback's own."""
        return self.callback.every

    def on_due(self, state: TrainerState, adapter: Adapter) -> dict[str, float]:
        """The callback's figures."""
        before = next(self.vae.parameters()).device
        self.vae.to(self.device)
        try:
            return self.callback.on_due(state, adapter)
        finally:
            self.vae.to(before)


def _measure(recipe: Recipe, base: Base, contract: InputContract, note: Callable[[str], None]) -> Measure | None:
    """What the recipe's kind is measured with; None, with a note, for a kind that has no measure."""
    try:
        return measure_for(recipe.adapter.kind, recipe.data, palette=contract.palette, embedded=base.embedded)
    except ConditionError as error:
        note(str(error))
        return None
