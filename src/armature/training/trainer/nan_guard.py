"""The losses of the last steps: kept on the device, checked now and then, and a halt when one is not a number."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from armature.errors import ArmatureError
from armature.training.logging.progress import StepFigures
from armature.training.trainer.distributed import Processes

# So many steps at most pass between two checks, however rarely the recipe logs.
WINDOW = 100
# Below this, gradients overflow half precision whatever they are scaled by.
LOWEST_SCALE = 2.0**-10


@dataclass
class _Step:
    number: int
    keys: list[tuple[str, ...]] = field(default_factory=list)
    losses: list[Tensor] = field(default_factory=list)
    norm: Tensor | None = None


class NanGuard:
    """Collects losses and gradient norms without waiting for the device.

    processes: all of them check at the same steps. scaled: whether a gradient scaler is at work, which meets and
    skips infinite gradients in the ordinary course of things.
    """

    def __init__(self, processes: Processes, *, scaled: bool = False) -> None:
        self._processes = processes
        self._scaled = scaled
        self._steps: list[_Step] = []
        self._losses: list[float] = []
        self._norms: list[float] = []
        self._skipped = 0

    @property
    def full(self) -> bool:
        """Whether it is time to check."""
        return len(self._steps) >= WINDOW

    def note_loss(self, step: int, keys: Sequence[str], loss: Tensor) -> None:
        """One micro-batch of the step with this number, the first being 1. loss: a scalar on any device."""
        if not self._steps or self._steps[-1].number != step:
            self._steps.append(_Step(step))
        self._steps[-1].keys.append(tuple(keys))
        self._steps[-1].losses.append(loss.detach())

    def note_norm(self, norm: Tensor) -> None:
        """The gradients' norm of the step noted last, a scalar on the losses' device."""
        self._steps[-1].norm = norm.detach()

    def check_finite(self, last_good: str) -> None:
        """Read what was noted since the last check; waits for the device.

        last_good: what to go back to, in words. Raises ArmatureError, in every process, naming the first step whose
        loss or gradient is not finite and the samples of its batch.
        """
        steps, self._steps = self._steps, []
        losses, norms = _read(steps)
        worst = math.inf
        for step, values, norm in zip(steps, losses, norms, strict=True):
            finite = math.isfinite(norm)
            if not all(map(math.isfinite, values)) or not (finite or self._scaled):
                worst = min(worst, step.number)
            self._losses += values
            self._norms += [norm] if finite else []
            self._skipped += not finite
        (first,) = self._processes.most(-worst)
        if math.isfinite(first):
            self._halt(int(-first), steps, losses, last_good)

    def figures(self) -> StepFigures | None:
        """Means since they were last asked for; None when there was no step. All processes must ask."""
        if not self._losses:
            return None
        (loss,) = self._processes.mean(sum(self._losses) / len(self._losses))
        norm = sum(self._norms) / len(self._norms) if self._norms else math.inf
        figures = StepFigures(loss, norm, self._skipped)
        self._losses, self._norms, self._skipped = [], [], 0
        return figures

    def check_scale(self, scale: float, last_good: str) -> None:
        """Raise ArmatureError when float16's loss scale has fallen so far that no step can succeed any more."""
        if scale < LOWEST_SCALE:
            raise ArmatureError(
                f"Gradients overflow float16 at every scale (now {scale:g}), so nothing is learned any more. "
                f"{last_good} Take bfloat16 or float32 for base.precision and train.precision."
            )

    def _halt(self, number: int, steps: list[_Step], losses: list[list[float]], last_good: str) -> None:
        """Raise in every process the same error about the step with this number."""
        mine = [
            (key, math.isfinite(value))
            for step, values in zip(steps, losses, strict=True)
            if step.number == number
            for keys, value in zip(step.keys, values, strict=True)
            for key in keys
        ]
        every = [pair for pairs in self._processes.gathered(mine) for pair in pairs]
        bad = [key for key, finite in every if not finite]
        what = "loss" if bad else "gradient"
        names = ", ".join(repr(key) for key in bad or [key for key, _ in every])
        raise ArmatureError(
            f"The {what} of step {number} is not finite; its batch held the samples {names}. Training stopped, and "
            f"nothing was saved since. {last_good} Look at these samples, or lower train.learning_rate."
        )


def _read(steps: list[_Step]) -> tuple[list[list[float]], list[float]]:
    """Losses and norms of each step on the host, in one transfer."""
    parts = [part for step in steps for part in (*step.losses, step.norm) if part is not None]
    values = iter(torch.stack([part.float() for part in parts]).tolist() if parts else [])
    losses, norms = [], []
    for step in steps:
        losses.append([next(values) for _ in step.losses])
        norms.append(math.inf if step.norm is None else next(values))
    return losses, norms
