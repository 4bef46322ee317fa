"""One sitting of a training: from its start, or the checkpoint it is taken up from, to its end or a signal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field

import torch

from armature.data.loader.loader import Batches
from armature.errors import RecipeError
from armature.training.callbacks.callback import Moment, Watcher
from armature.training.checkpoint.state import TrainingState
from armature.training.checkpoint.store import CheckpointStore
from armature.training.logging.meter import Meter
from armature.training.logging.progress import Metrics, Progress
from armature.training.recipe.duration import Duration
from armature.training.recipe.model import TrainSettings, WatchSettings
from armature.training.trainer.clock import Clock
from armature.training.trainer.distributed import Processes
from armature.training.trainer.interrupt import Signals, TrainingStoppedError
from armature.training.trainer.learner import Learner
from armature.training.trainer.schedule import Length, due, learning_rate


@dataclass(frozen=True)
class Around:
    """What stands around a training.

    watchers, metrics and progress are used in the first process only; progress is told after every step.
    """

    store: CheckpointStore
    processes: Processes
    watchers: Sequence[Watcher] = ()
    metrics: Metrics | None = None
    progress: Callable[[Progress], None] | None = None
    digest: str = ""


@dataclass
class Position:
    """How far a training has come; see Moment."""

    step: int = 0
    images: int = 0
    minutes: float = 0.0
    notes: list[str] = field(default_factory=list)


class Sitting:
    """Steps, and the boundaries between them, at which everything else happens."""

    def __init__(
        self, train: TrainSettings, watch: WatchSettings, learner: Learner, batches: Batches, around: Around
    ) -> None:
        self._train, self._watch, self._learner, self._batches, self._around = train, watch, learner, batches, around
        every = (train.length, watch.log, watch.save, *(watcher.every for watcher in around.watchers))
        counted = any(duration.unit == "epochs" for duration in every)
        self._per_epoch = batches.steps_per_epoch() if counted else None
        self._length = Length.of(train.length, self._per_epoch)
        self._per_step = train.batch * train.accumulate * around.processes.world
        self.at = Position()
        # Of the present boundary: whether this sitting came to it by a step, whether watchers have yet to look, and
        # how many minutes the one before had.
        self._reached, self._unwatched, self._before = False, True, 0.0
        self._rate = train.learning_rate
        self._last_good = "No checkpoint was written yet."

    def take_up(self) -> None:
        """Go on from the newest whole checkpoint, if there is one. Raises RecipeError when its steps were others."""
        processes, store = self._around.processes, self._around.store
        state, notes = processes.in_first(store.newest_whole)
        self.at.notes += notes
        if state is None:
            self.at.notes.append("There is no whole checkpoint to resume from; training starts at step 0.")
        else:
            self._recall(state)
        if processes.first:
            store.set_aside(self.at.step)

    def run(self, signals: Signals) -> None:
        """Train to the end. Raises TrainingStoppedError after a signal, when everything is saved."""
        at, processes = self.at, self._around.processes
        if self._around.metrics is not None and processes.first:
            self._around.metrics.rewind(at.step)
        self._clock = Clock(at.minutes)
        self._meter = Meter(processes.device, at.images, at.minutes, self._share)
        stream = self._batches.stream(at.step)
        while True:
            # One short word on the CPU keeps all processes at the same clock and has them stop together.
            mine = self._clock.minutes if processes.first else 0.0
            stop, at.minutes = processes.most(signals.received, mine)
            self._boundary(stop=bool(stop))
            if stop:
                raise TrainingStoppedError(self._farewell(int(stop)), int(stop))
            if self._over:
                return
            self._reached, self._unwatched, self._before = True, True, at.minutes
            train = self._train
            self._rate = learning_rate(train.learning_rate, train.schedule, train.warmup, at.step, self._share)
            self._learner.step(at.step + 1, stream, self._rate)
            at.step += 1
            at.images += self._per_step
            if self._around.progress is not None and processes.first:
                minutes = self._clock.minutes
                share = self._length.progress(at.step, minutes)
                self._around.progress(self._meter.progress(at.step, self._length.steps, share, minutes))

    @property
    def _share(self) -> float:
        return self._length.progress(self.at.step, self.at.minutes)

    @property
    def _over(self) -> bool:
        return self._length.over(self.at.step, self.at.minutes)

    def _due(self, every: Duration) -> bool:
        return due(every, self.at.step, self._per_epoch, self.at.minutes, self._before)

    def _boundary(self, *, stop: bool) -> None:
        """Look, log, watch, save, in this order: what is saved is known to be good, and to have been watched."""
        last = stop or self._over
        watching = [] if stop or not self._unwatched else self._lookers()
        if not self._reached and not watching:
            return
        logs = self._reached and (last or self._due(self._watch.log))
        # A boundary that a signal left unwatched was saved as such, and is saved again when that is made up for.
        saves = self.at.step > 0 and (last or self._due(self._watch.save) or not self._reached)
        if logs or watching or saves or self._learner.guard.full:
            self._learner.look(self._last_good)
        if logs:
            self._log()
        if watching or saves:
            with self._clock.paused():
                for watcher in watching:
                    self._look_on(watcher)
                if saves:
                    self._save(watched=not stop)

    def _lookers(self) -> list[Watcher]:
        """The watchers whose turn it is: all at the start and at the end."""
        every_one = self.at.step == 0 or self._over
        return [watcher for watcher in self._around.watchers if every_one or self._due(watcher.every)]

    def _log(self) -> None:
        figures = self._learner.guard.figures()
        if figures is not None:
            self._write(self._meter.log(figures, self._rate, self.at.images, self.at.minutes))

    def _look_on(self, watcher: Watcher) -> None:
        """Let a watcher look in the first process while the others wait."""

        def work() -> None:
            with self._shown():
                figures = watcher.watch(Moment(self.at.step, self.at.images, self.at.minutes, self._learner.adapter))
            self._write(figures)

        self._around.processes.in_first(work)

    @contextmanager
    def _shown(self) -> Iterator[None]:
        """The adapter as others may see it: averaged, evaluating, without gradients, and outside the U-Net."""
        adapter, ema, device = self._learner.adapter, self._learner.ema, self._around.processes.device
        self._learner.rest()
        with ExitStack() as stack:
            stack.enter_context(nullcontext() if ema is None else ema.swapped())
            stack.enter_context(torch.random.fork_rng([device] if device.type == "cuda" else []))
            stack.enter_context(torch.no_grad())
            stack.callback(adapter.train)
            adapter.eval()
            yield

    def _save(self, *, watched: bool) -> None:
        at = self.at
        state = self._learner.remembered(
            step=at.step,
            images=at.images,
            per_step=self._per_step,
            minutes=at.minutes,
            digest=self._around.digest,
            watched=watched,
        )
        path = self._around.processes.in_first(lambda: self._around.store.save(state))
        self._last_good = f"The last good checkpoint is {path}."

    def _recall(self, state: TrainingState) -> None:
        if state.per_step != self._per_step:
            raise RecipeError(
                f"The checkpoint of step {state.step} learned from {state.per_step} samples a step; now "
                f"{self._around.processes.world} processes x batch {self._train.batch} x accumulate "
                f"{self._train.accumulate} make {self._per_step}. Choose numbers with the same product, so that no "
                "sample is lost or repeated."
            )
        if state.digest != self._around.digest:
            self.at.notes.append(f"The checkpoint of step {state.step} was written under another recipe.")
        self._learner.recall(state)
        self.at.step, self.at.images, self.at.minutes = state.step, state.images, state.minutes
        self._unwatched, self._before = not state.watched, state.minutes
        self._last_good = f"The last good checkpoint is that of step {state.step}."

    def _farewell(self, number: int) -> str:
        name = {15: "SIGTERM", 2: "an interrupt"}.get(number, f"signal {number}")
        kept = "its checkpoint is saved. Continue with --resume." if self.at.step else "nothing was trained yet."
        return f"Stopped by {name} after step {self.at.step}; {kept}"

    def _write(self, figures: dict[str, float]) -> None:
        if self._around.metrics is not None and self._around.processes.first and figures:
            self._around.metrics.write(self.at.step, figures, minutes=self.at.minutes, images=self.at.images)
