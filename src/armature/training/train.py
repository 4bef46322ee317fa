"""The one function behind `armature train` and `armature.train`: from a recipe to a finished adapter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from armature.bases.schedule import NoiseSchedule
from armature.data.encoding.encoder import Encoder
from armature.data.loader.loader import BatchLoader, cached_batches, online_batches
from armature.data.loader.sampler import StepLayout
from armature.errors import RecipeError
from armature.files import local_path
from armature.training.callbacks.build import build_callbacks
from armature.training.checkpoint.run_folder import RunFolder, recipe_digest
from armature.training.checkpoint.state import TrainerState
from armature.training.export.export import export
from armature.training.logging.display import Display, open_display
from armature.training.logging.metrics import MetricsLog
from armature.training.logging.trackers import open_trackers
from armature.training.prepare_data import fill_cache, open_data
from armature.training.recipe.describe import recipe_text
from armature.training.recipe.load import load_recipe
from armature.training.recipe.model import Recipe
from armature.training.setup import Setup, set_up
from armature.training.trainer.distributed import Processes
from armature.training.trainer.trainer import Outcome, TrainerServices, fit


@dataclass(frozen=True)
class Trained:
    """A training that reached its end.

    adapter: folder of the finished adapter. state: its extent over all runs of the program.
    notes: what a person should know. first: whether this is the process that speaks for all.
    """

    adapter: Path
    state: TrainerState
    notes: tuple[str, ...]
    first: bool


def train(
    recipe: str | Path | Mapping[str, Any] | Recipe,
    overrides: Sequence[str] = (),
    *,
    resume: bool = False,
    force: bool = False,
    progress: bool = True,
) -> Path:
    """Train an adapter by a recipe; returns the folder of the finished adapter, for `load_adapter` and diffusers.

    recipe, overrides: see `load_recipe`. resume: go on from the newest whole checkpoint of the run folder. force: take
    over a run folder that belongs to another training. progress: show bars on a terminal, or lines elsewhere, on
    stderr. Started by `accelerate launch` or torchrun, all processes train together, and each returns the folder.
    Raises RecipeError for a recipe that cannot be trained, DatasetError for unusable data, CheckpointError for models
    that cannot be read and checkpoints that cannot be written, ArmatureError for a loss that is not finite, and
    TrainingStoppedError, when everything is saved, after SIGTERM or Ctrl-C.
    """
    return run_training(load_recipe(recipe, overrides), resume=resume, force=force, progress=progress).adapter


def run_training(recipe: Recipe, *, resume: bool = False, force: bool = False, progress: bool = True) -> Trained:
    """`train` for a recipe that was read, with everything that is known about the result."""
    processes = Processes.join()
    try:
        with open_display(shown=progress and processes.first) as display:
            return _run(recipe, processes, display, resume=resume, force=force)
    finally:
        processes.leave()


def _run(recipe: Recipe, processes: Processes, display: Display, *, resume: bool, force: bool) -> Trained:
    setup = set_up(recipe, device=processes.device)
    notes = list(setup.notes)
    with ExitStack() as stack:
        # Nothing is written before it is known that models and data fit.
        dataset = open_data(setup)
        run, text = RunFolder(local_path(recipe.run, RecipeError)), recipe_text(recipe)
        notes += processes.in_first(lambda: run.claim(text, resume=resume, force=force))
        for note in notes:
            display.note(note)
        encoder = Encoder(setup.base, display.note)
        layout = StepLayout(recipe.train.batch, recipe.train.accumulate, processes.rank, processes.world)
        seed, workers = recipe.train.seed, recipe.train.workers
        if recipe.cache.enabled:
            cache = fill_cache(setup, dataset, encoder, processes, display)
            encoder.release()
            batches = cached_batches(cache, setup.contract, layout, seed=seed, workers=workers, device=processes.device)
        else:
            batches = online_batches(
                dataset,
                encoder,
                setup.contract,
                layout,
                report=lambda key, problem: display.note(
                    f"{key} cannot be used, another takes its place: {problem.reason}"
                ),
                seed=seed,
                workers=workers,
            )
        stack.callback(batches.close)
        for note in batches.notes:
            display.note(note)
        outcome = _fitted(setup, batches, run, processes, display, resume=resume, text=text)
        notes += [*batches.notes, *outcome.notes]
    for note in outcome.notes:
        display.note(note)

    finish = partial(export, run.path, setup.adapter, recipe, outcome.state)
    notes += processes.in_first(lambda: finish().notes)
    return Trained(run.adapter, outcome.state, tuple(notes), processes.first)


def _fitted(
    setup: Setup,
    batches: BatchLoader,
    run: RunFolder,
    processes: Processes,
    display: Display,
    *,
    resume: bool,
    text: str,
) -> Outcome:
    """Train with everything that looks on: callbacks, the log, trackers."""
    recipe, pipeline = setup.recipe, setup.base.pipeline
    schedule = NoiseSchedule.of(pipeline.scheduler)
    with ExitStack() as stack:
        callbacks = build_callbacks(
            recipe,
            setup.base,
            setup.contract,
            batches,
            arithmetic=setup.precision,
            run=run.path,
            note=display.note,
        )
        metrics = None
        if processes.first:
            settings, wanted = recipe.model_dump(mode="json"), recipe.logging
            trackers = open_trackers(
                run.path, tensorboard=wanted.tensorboard, wandb=wanted.wandb, settings=settings, note=display.note
            )
            metrics = stack.enter_context(MetricsLog(run.path, trackers))
        services = TrainerServices(
            run.store(recipe.checkpoint.keep),
            processes,
            callbacks,
            metrics,
            display.training,
            save_every=recipe.checkpoint.every,
            log_every=recipe.logging.every,
            recipe=recipe_digest(text),
        )
        return fit(
            recipe.train,
            services,
            unet=pipeline.unet,
            adapter=setup.adapter,
            batches=batches,
            alphas=schedule.alphas,
            prediction=schedule.prediction,
            resume=resume,
        )
