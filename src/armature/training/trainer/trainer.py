"""The training loop: steps, what happens between them, and `fit`, which puts the parts in place for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from armature.adapters.base import Adapter
from armature.data.encoding.batch import EncodedBatch
from armature.data.loader.loader import Batches
from armature.errors import RecipeError
from armature.injection.hooks import injected
from armature.training.checkpoint.state import Checkpoint, TrainerState
from armature.training.checkpoint.store import CheckpointStore
from armature.training.logging.metrics import Metrics
from armature.training.logging.progress import Meter, Progress
from armature.training.recipe.duration import Duration
from armature.training.recipe.model import CheckpointSettings, LoggingSettings, TrainSettings
from armature.training.trainer.callback import Callback
from armature.training.trainer.clock import Clock, Length, due
from armature.training.trainer.distributed import Processes
from armature.training.trainer.interrupt import Signals, TrainingStoppedError
from armature.training.trainer.optim import learning_rate
from armature.training.trainer.step import Learner, freeze


@dataclass(frozen=True)
class TrainerServices:
    """Whom a trainer tells what happens, and where it saves.

    store: of checkpoints; save_every: how often one is saved. callbacks, metrics, progress: used in the first process
    only; progress is told after every step. log_every: how often figures go to metrics. recipe: its digest.
    """

    store: CheckpointStore
    processes: Processes = field(default_factory=Processes)
    callbacks: Sequence[Callback] = ()
    metrics: Metrics | None = None
    progress: Callable[[Progress], None] | None = None
    save_every: Duration = CheckpointSettings().every
    log_every: Duration = LoggingSettings().every
    recipe: str = ""


class Trainer:
    """Runs a training from its start, or the checkpoint that it is resumed from, to its end or a signal.

    state: how far it has come. notes: what a person should know.
    """

    def __init__(self, settings: TrainSettings, learner: Learner, batches: Batches, services: TrainerServices) -> None:
        self.state = TrainerState()
        self.notes: list[str] = []
        self._settings, self._learner, self._batches, self._services = settings, learner, batches, services
        self._processes = services.processes
        every = (settings.length, services.log_every, services.save_every, *(one.every for one in services.callbacks))
        counted = any(duration.unit == "epochs" for duration in every)
        self._per_epoch = batches.steps_per_epoch() if counted else None
        self._length = Length.of(settings.length, self._per_epoch)
        self._images_per_step = settings.batch * settings.accumulate * self._processes.world
        self._clock, self._meter = Clock(), Meter(self._processes.device)
        # Whether what is due at the present step has been called; minutes at the step before; the rate of the last one.
        self._callbacks_called, self._minutes_before, self._rate = False, 0.0, settings.learning_rate
        self._last_good = "No checkpoint was written yet."

    def resume(self) -> None:
        """Go on from the newest whole checkpoint, if there is one. Raises RecipeError when its steps were others."""
        store = self._services.store
        checkpoint, notes = self._processes.in_first(store.newest_whole)
        self.notes += notes
        if checkpoint is None:
            self.notes.append("There is no whole checkpoint to resume from; training starts at step 0.")
        else:
            self.load_state_dict(checkpoint)
        if self._processes.first:
            store.set_aside(self.state.step)

    def run(self, signals: Signals) -> None:
        """Train to the end. Raises TrainingStoppedError after a signal, when everything is saved."""
        if self._services.metrics is not None and self._processes.first:
            self._services.metrics.rewind(self.state.step)
        self._clock.start(self.state.minutes)
        self._meter.start(self.state, self._share)
        stream = self._batches.stream(self.state.step)
        stop = self._synchronize(signals)
        if not stop:
            self.on_train_begin()
        while not stop and not self._over:
            self._step(stream)
            stop = self._synchronize(signals)
            self.on_step_end(stop=bool(stop))
        if stop:
            raise TrainingStoppedError(self._stop_message(stop), stop)

    def on_train_begin(self) -> None:
        """Call what is due before the first step: at step 0, or where a signal left no time for it."""
        callbacks = [] if self._callbacks_called else self._due_callbacks()
        if callbacks:
            with self._clock.paused():
                self._call(callbacks)
                self._callbacks_called = True
                if self.state.step:
                    self._save()

    def on_step_end(self, *, stop: bool) -> None:
        """Check, log, call, save, in this order: what is saved is known to be good, and callbacks have seen it."""
        last = stop or self._over
        callbacks = [] if stop else self._due_callbacks()
        logs = last or self._due(self._services.log_every)
        saves = last or self._due(self._services.save_every)
        if logs or callbacks or saves or self._learner.guard.full:
            self._learner.check_finite(self._last_good)
        if logs:
            self._log()
        if callbacks or saves:
            with self._clock.paused():
                self._call(callbacks)
                self._callbacks_called = not stop
                if saves:
                    self._save()

    def state_dict(self) -> Checkpoint:
        """Everything that a resumed training needs, as it is now; tensors are the live ones."""
        return Checkpoint(
            self.state,
            self._learner.state_dict(),
            images_per_step=self._images_per_step,
            recipe=self._services.recipe,
            callbacks_called=self._callbacks_called,
        )

    def load_state_dict(self, checkpoint: Checkpoint) -> None:
        """Go on where a checkpoint was taken. Raises RecipeError when its steps learned from more or fewer samples."""
        step = checkpoint.state.step
        if checkpoint.images_per_step != self._images_per_step:
            raise RecipeError(
                f"The checkpoint of step {step} learned from {checkpoint.images_per_step} samples a step; now "
                f"{self._processes.world} processes x batch {self._settings.batch} x accumulate "
                f"{self._settings.accumulate} make {self._images_per_step}. Choose numbers with the same product, so "
                "that no sample is lost or repeated."
            )
        if checkpoint.recipe != self._services.recipe:
            self.notes.append(f"The checkpoint of step {step} was written under another recipe.")
        self._learner.load_state_dict(checkpoint.learner)
        self.state, self._minutes_before = checkpoint.state, checkpoint.state.minutes
        self._callbacks_called = checkpoint.callbacks_called
        self._last_good = f"The last good checkpoint is that of step {step}."

    @property
    def _share(self) -> float:
        return self._length.progress(self.state.step, self.state.minutes)

    @property
    def _over(self) -> bool:
        return self._length.over(self.state.step, self.state.minutes)

    def _due(self, every: Duration) -> bool:
        return due(every, self.state.step, self._per_epoch, self.state.minutes, self._minutes_before)

    def _due_callbacks(self) -> list[Callback]:
        """Those whose turn it is: all at the start and at the end."""
        every_one = self.state.step == 0 or self._over
        return [callback for callback in self._services.callbacks if every_one or self._due(callback.every)]

    def _synchronize(self, signals: Signals) -> int:
        """Take the first process's clock, and the signal of whichever received one; 0 is none.

        One short word on the CPU keeps all processes at the same minutes and has them stop together.
        """
        mine = self._clock.minutes if self._processes.first else 0.0
        signal, minutes = self._processes.most(signals.received, mine)
        self.state = replace(self.state, minutes=minutes)
        return int(signal)

    def _step(self, stream: Iterator[EncodedBatch]) -> None:
        """One optimizer step."""
        settings, state = self._settings, self.state
        self._callbacks_called, self._minutes_before = False, state.minutes
        self._rate = learning_rate(settings.learning_rate, settings.schedule, settings.warmup, state.step, self._share)
        self._learner.step(state.step + 1, stream, self._rate)
        self.state = replace(state, step=state.step + 1, images=state.images + self._images_per_step)
        if self._services.progress is not None and self._processes.first:
            now = replace(self.state, minutes=self._clock.minutes)
            share = self._length.progress(now.step, now.minutes)
            self._services.progress(self._meter.progress(now, self._length.steps, share))

    def _log(self) -> None:
        figures = self._learner.guard.figures()
        if figures is not None:
            self._write(self._meter.log(figures, self._rate, self.state))

    def _call(self, callbacks: Sequence[Callback]) -> None:
        """Call them in the first process while the others wait."""

        def work(callback: Callback) -> None:
            with self._adapter_shown():
                figures = callback.on_due(self.state, self._learner.adapter)
            self._write(figures)

        for callback in callbacks:
            self._processes.in_first(lambda callback=callback: work(callback))

    @contextmanager
    def _adapter_shown(self) -> Iterator[None]:
        """The adapter as others may see it: averaged, evaluating, without gradients, and outside the U-Net."""
        adapter, ema, device = self._learner.adapter, self._learner.ema, self._processes.device
        self._learner.clear()
        with ExitStack() as stack:
            stack.enter_context(nullcontext() if ema is None else ema.swapped())
            stack.enter_context(torch.random.fork_rng([device] if device.type == "cuda" else []))
            stack.enter_context(torch.no_grad())
            stack.callback(adapter.train)
            adapter.eval()
            yield

    def _save(self) -> None:
        checkpoint = self.state_dict()
        path = self._processes.in_first(lambda: self._services.store.save(checkpoint))
        self._last_good = f"The last good checkpoint is {path}."

    def _write(self, figures: dict[str, float]) -> None:
        if self._services.metrics is not None and self._processes.first and figures:
            self._services.metrics.write(self.state, figures)

    def _stop_message(self, signal: int) -> str:
        name = {15: "SIGTERM", 2: "an interrupt"}.get(signal, f"signal {signal}")
        kept = "its checkpoint is saved. Continue with --resume." if self.state.step else "nothing was trained yet."
        return f"Stopped by {name} after step {self.state.step}; {kept}"


@dataclass(frozen=True)
class Outcome:
    """A training that reached its end: where it stands, and what a person should know, damaged checkpoints for one."""

    state: TrainerState
    notes: tuple[str, ...]


def fit(
    settings: TrainSettings,
    services: TrainerServices,
    *,
    unet: nn.Module,
    adapter: Adapter,
    batches: Batches,
    alphas: Tensor,
    prediction: str,
    resume: bool = False,
) -> Outcome:
    """Train an adapter on a frozen base until the recipe's length is reached, and leave everything as it was found.

    unet: the base, in any precision; it is frozen, and moved to the processes' device. adapter: float32; it ends with
    the averaged weights where there are any, in evaluation mode, the same in every process. alphas: of the base's
    schedule, (T,). prediction: "epsilon" or "v_prediction".
    services: its callbacks are called at step 0, every so often, and at the end, with the U-Net free of features.
    resume: go on from the newest whole checkpoint, or from the start when there is none. A resumed training does what
    the uninterrupted one does, bit for bit on a CPU; one measured in minutes takes other numbers of steps each time.
    Returns at the end. Raises TrainingStoppedError after SIGTERM or Ctrl-C, when all is saved; ArmatureError for a
    loss or gradient that is not finite; RecipeError for settings that do not go with the checkpoint or the adapter;
    CheckpointError when a checkpoint cannot be written.
    """
    processes = services.processes
    freeze(unet)
    for module in (unet, adapter):
        # Convolutions in half precision are fastest in this layout.
        module.to(device=processes.device, memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    adapter.train().requires_grad_(True)
    with ExitStack() as stack:
        injection = stack.enter_context(injected(unet))
        if settings.checkpoint_gradients:
            whole: Any = unet
            whole.enable_gradient_checkpointing()
            stack.callback(whole.disable_gradient_checkpointing)
        # Compiled after the hooks are in place: graphs made before would not have them.
        compiled: Any = torch.compile(unet) if settings.compile else None
        learner = Learner(settings, unet, injection, adapter, alphas, prediction, batches.empty, processes, compiled)
        trainer = Trainer(settings, learner, batches, services)
        if resume:
            trainer.resume()
        trainer.run(stack.enter_context(Signals()))
    if learner.ema is not None:
        learner.ema.copy_out()
    adapter.eval()
    return Outcome(trainer.state, tuple(trainer.notes))
