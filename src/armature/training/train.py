"""The one function behind `armature train` and `armature.train`: from a recipe to a finished adapter."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from armature.data.encoding.encoder import Encoder
from armature.data.loader.loader import OrderedBatches
from armature.data.loader.open_batches import open_batches
from armature.training.callbacks.build import build_watchers
from armature.training.callbacks.callback import Moment, Watcher
from armature.training.checkpoint.run_folder import RunFolder, recipe_digest
from armature.training.export.export import export
from armature.training.logging.display import Display, open_display
from armature.training.logging.metrics import MetricsLog
from armature.training.logging.trackers import open_boards
from armature.training.prepare_data import fill_cache, open_data
from armature.training.recipe.duration import Duration
from armature.training.recipe.load import load_recipe, recipe_text
from armature.training.recipe.model import Recipe
from armature.training.setup import Setup, set_up
from armature.training.trainer.distributed import Processes
from armature.training.trainer.loop import Outcome, fit
from armature.training.trainer.step import alphas_of


@dataclass(frozen=True)
class Trained:
    """A training that reached its end.

    adapter: folder of the finished adapter. steps, images, minutes: its extent over all sittings.
    notes: what a person should know. first: whether this is the process that speaks for all.
    """

    adapter: Path
    steps: int
    images: int
    minutes: float
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
        run, text = RunFolder(Path(recipe.run).expanduser()), recipe_text(recipe)
        notes += processes.in_first(lambda: run.claim(text, resume=resume, force=force))
        for note in notes:
            display.note(note)
        encoder = Encoder(setup.base, display.note)
        data = fill_cache(setup, dataset, encoder, processes, display) if recipe.cache.enabled else dataset
        if recipe.cache.enabled:
            encoder.release()
        batches = open_batches(
            data,
            setup.contract,
            encoder=encoder,
            batch=recipe.train.batch,
            accumulate=recipe.train.accumulate,
            rank=processes.rank,
            world=processes.world,
            seed=recipe.train.seed,
            workers=recipe.train.workers,
            device=processes.device,
            report=lambda key, problem: display.note(
                f"{key} cannot be used, another takes its place: {problem.reason}"
            ),
        )
        stack.callback(batches.close)
        for note in batches.notes:
            display.note(note)
        outcome = _fitted(setup, batches, run, processes, display, resume=resume, text=text)
        notes += [*batches.notes, *outcome.notes]
    for note in outcome.notes:
        display.note(note)

    def finish() -> tuple[str, ...]:
        extent = {"step": outcome.step, "images": outcome.images, "minutes": outcome.minutes}
        return export(run.path, setup.adapter, recipe, **extent).notes  # type: ignore[arg-type]

    notes += processes.in_first(finish)
    return Trained(run.adapter, outcome.step, outcome.images, outcome.minutes, tuple(notes), processes.first)


def _fitted(
    setup: Setup,
    batches: OrderedBatches,
    run: RunFolder,
    processes: Processes,
    display: Display,
    *,
    resume: bool,
    text: str,
) -> Outcome:
    """Train with everything that looks on: watchers, the log, boards."""
    recipe, pipeline = setup.recipe, setup.base.pipeline
    watch = recipe.watch
    with ExitStack() as stack:
        watchers = build_watchers(recipe, setup.base, setup.contract, batches, run=run.path, note=display.note)
        metrics = None
        if processes.first:
            settings = recipe.model_dump(mode="json")
            boards = open_boards(
                run.path, tensorboard=watch.tensorboard, wandb=watch.wandb, settings=settings, note=display.note
            )
            metrics = stack.enter_context(MetricsLog(run.path, boards))
        return fit(
            recipe.train,
            watch,
            unet=pipeline.unet,
            adapter=setup.adapter,
            batches=batches,
            alphas=alphas_of(pipeline.scheduler),
            prediction=str(pipeline.scheduler.config.get("prediction_type", "epsilon")),
            run=run,
            processes=processes,
            watchers=[_Drawing(watcher, pipeline.vae, processes.device) for watcher in watchers],
            metrics=metrics,
            progress=display.training,
            resume=resume,
            digest=recipe_digest(text),
        )


@dataclass(frozen=True, eq=False)
class _Drawing:
    """A watcher for whose time the autoencoder is on the training's device again: decoding elsewhere takes minutes."""

    watcher: Watcher
    autoencoder: torch.nn.Module
    device: torch.device

    @property
    def every(self) -> Duration:
        """The watcher's own."""
        return self.watcher.every

    def watch(self, moment: Moment) -> dict[str, float]:
        """The watcher's figures."""
        with _brought(self.autoencoder, self.device):
            return self.watcher.watch(moment)


@contextmanager
def _brought(module: torch.nn.Module, device: torch.device) -> Iterator[None]:
    before = next(module.parameters()).device
    module.to(device)
    try:
        yield
    finally:
        module.to(before)
