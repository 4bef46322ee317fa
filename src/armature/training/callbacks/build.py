"""The watchers that a recipe asks for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from armature.bases.open import Base
from armature.conditions.contract import InputContract
from armature.data.loader.loader import Batches
from armature.errors import ConditionError
from armature.evaluation.fidelity import Measure
from armature.evaluation.measure_for import measure_for
from armature.evaluation.sampler import PictureSampler
from armature.training.callbacks.callback import Watcher
from armature.training.callbacks.fidelity import ControlFidelityWatcher
from armature.training.callbacks.held_out import Probe
from armature.training.callbacks.held_out_loss import HeldOutLossWatcher
from armature.training.callbacks.preview import PreviewWatcher
from armature.training.recipe.model import Recipe
from armature.training.trainer.step import alphas_of

SAMPLES = "samples"


def build_watchers(
    recipe: Recipe,
    base: Base,
    contract: InputContract,
    batches: Batches,
    *,
    run: str | Path | None = None,
    note: Callable[[str], None] = lambda words: None,
) -> list[Watcher]:
    """Held-out loss, control fidelity and previews, as far as `[watch]` asks for them; cheap ones first.

    run: the run folder, recipe.run unless given. note: is told why fidelity cannot be measured, where it cannot.
    """
    watch, seed = recipe.watch, recipe.train.seed
    found: list[Watcher] = []
    if recipe.data.held_out == 0:
        return found
    painter = PictureSampler(base, steps=watch.steps, guidance=watch.guidance)
    if watch.measure is not None:
        scheduler = base.pipeline.scheduler
        prediction = str(scheduler.config.get("prediction_type", "epsilon"))
        probe = Probe(base.pipeline.unet, alphas_of(scheduler), prediction)
        found.append(HeldOutLossWatcher(watch.measure, probe, batches))
        measure = _measure(recipe, base, contract, note) if watch.fidelity else None
        if measure is not None:
            found.append(
                ControlFidelityWatcher(watch.measure, painter, batches, contract, measure, watch.fidelity, seed, note)
            )
    if watch.preview is not None:
        folder = Path(run or recipe.run) / SAMPLES
        found.append(PreviewWatcher(watch.preview, painter, batches, contract, folder, watch.previews, seed))
    return found


def _measure(recipe: Recipe, base: Base, contract: InputContract, note: Callable[[str], None]) -> Measure | None:
    """What the recipe's kind is measured with; None, with a note, for a kind that has no measure."""
    try:
        return measure_for(recipe.adapter.kind, recipe.data, palette=contract.palette, embedded=base.embedded)
    except ConditionError as error:
        note(str(error))
        return None
