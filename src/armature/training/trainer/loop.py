"""Train an adapter: put the parts in place, let a sitting run, and leave everything as it was found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from armature.adapters.base import Adapter
from armature.data.loader.loader import Batches
from armature.injection.hooks import injected
from armature.training.callbacks.callback import Watcher
from armature.training.checkpoint.run_folder import RunFolder
from armature.training.logging.progress import Metrics, Progress
from armature.training.recipe.model import TrainSettings, WatchSettings
from armature.training.trainer.distributed import Processes
from armature.training.trainer.interrupt import Signals
from armature.training.trainer.learner import Learner
from armature.training.trainer.step import freeze
from armature.training.trainer.trainer import Around, Sitting


@dataclass(frozen=True)
class Outcome:
    """A training that reached its end.

    step: optimizer steps. images: samples learned from, over all processes. minutes: of training alone, over all
    sittings. notes: what a person should know, damaged checkpoints that were skipped for one.
    """

    step: int
    images: int
    minutes: float
    notes: tuple[str, ...]


def fit(
    train: TrainSettings,
    watch: WatchSettings,
    *,
    unet: nn.Module,
    adapter: Adapter,
    batches: Batches,
    alphas: Tensor,
    prediction: str,
    run: RunFolder,
    processes: Processes | None = None,
    watchers: Sequence[Watcher] = (),
    metrics: Metrics | None = None,
    progress: Callable[[Progress], None] | None = None,
    resume: bool = False,
    digest: str = "",
) -> Outcome:
    """Train an adapter on a frozen base until the recipe's length is reached.

    train, watch: the recipe's tables. unet: the base, in any precision; it is frozen, and moved to the processes'
    device. adapter: float32; it ends with the averaged weights where there are any, in evaluation mode, the same in
    every process. alphas: of the base's schedule, (T,). prediction: "epsilon" or "v_prediction".
    run: claimed for this recipe; checkpoints go there. processes: left out, this one alone, where the U-Net is.
    watchers: called in the first process at step 0, every so often, and at the end, with the U-Net free of features.
    metrics, progress: told of what happens, in the first process only; progress after every step.
    resume: go on from the newest whole checkpoint, or from the start when there is none. A resumed training does what
    the uninterrupted one does, bit for bit on a CPU; one measured in minutes takes other numbers of steps each time.
    digest: of the recipe (`recipe_digest`), recorded in the checkpoints.
    Returns at the end. Raises TrainingStoppedError after SIGTERM or Ctrl-C, when all is saved; ArmatureError for a
    loss or gradient that is not finite; RecipeError for settings that do not go with the checkpoint or the adapter;
    CheckpointError when a checkpoint cannot be written.
    """
    processes = processes or Processes(device=next(unet.parameters()).device)
    freeze(unet)
    for module in (unet, adapter):
        # Convolutions in half precision are fastest in this layout.
        module.to(device=processes.device, memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    adapter.train().requires_grad_(True)
    around = Around(run.store(watch.keep), processes, watchers, metrics, progress, digest)
    with ExitStack() as stack:
        injection = stack.enter_context(injected(unet))
        if train.checkpoint_gradients:
            whole: Any = unet
            whole.enable_gradient_checkpointing()
            stack.callback(whole.disable_gradient_checkpointing)
        # Compiled after the hooks are in place: graphs made before would not have them.
        compiled: Any = torch.compile(unet) if train.compile else None
        learner = Learner(train, unet, injection, adapter, alphas, prediction, batches.empty, processes, compiled)
        sitting = Sitting(train, watch, learner, batches, around)
        if resume:
            sitting.take_up()
        sitting.run(stack.enter_context(Signals()))
    if learner.ema is not None:
        learner.ema.copy_out()
    adapter.eval()
    at = sitting.at
    return Outcome(at.step, at.images, at.minutes, tuple(at.notes))
