"""The figures that a training logs about itself, and how long it will still take."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import torch

from armature.training.checkpoint.state import TrainerState


@dataclass(frozen=True)
class Progress:
    """A training between two steps, as a progress bar shows it.

    steps: of the whole training, None when it is measured in minutes. share: how much of it is done, 0..1.
    minutes_left: by the pace since the program started, None before its first step.
    figures: those last logged, by name: "train/loss", "train/images_per_second", "train/memory_gib"...
    """

    state: TrainerState
    steps: int | None
    share: float
    minutes_left: float | None
    figures: dict[str, float]


@dataclass(frozen=True)
class StepFigures:
    """Means over the steps since the last log line.

    loss: of all processes. gradient_norm: before clipping. skipped: steps that float16's gradient scaler left out.
    """

    loss: float
    gradient_norm: float
    skipped: int


class Meter:
    """Speed since the last log line, and the pace since the program started."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._start = (0.0, 0.0)
        self._logged = TrainerState()
        self.figures: dict[str, float] = {}

    def start(self, state: TrainerState, share: float) -> None:
        """Count from here. share: of the whole length that lies behind, 0..1."""
        self._start, self._logged = (state.minutes, share), state

    def log(self, figures: StepFigures, rate: float, state: TrainerState) -> dict[str, float]:
        """The figures of a log line. rate: the learning rate."""
        seconds = max(60 * (state.minutes - self._logged.minutes), 1e-9)
        self.figures = {
            "train/loss": figures.loss,
            "train/gradient_norm": figures.gradient_norm,
            "train/learning_rate": rate,
            "train/images_per_second": (state.images - self._logged.images) / seconds,
            "train/memory_gib": peak_memory(self._device),
        }
        if figures.skipped:
            self.figures["train/skipped_steps"] = float(figures.skipped)
        self._logged = state
        return self.figures

    def progress(self, state: TrainerState, steps: int | None, share: float) -> Progress:
        """What a progress bar shows. steps: of the whole training, None when it is measured in minutes."""
        minutes, before = self._start
        done = share - before
        left = (state.minutes - minutes) * (1 - share) / done if done > 0 else None
        return Progress(state, steps, share, left, self.figures)


def peak_memory(device: torch.device) -> float:
    """GiB: the most that tensors took on a GPU so far, or this program on a CPU; 0 where nobody can tell."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**30
    try:
        import resource
    except ImportError:  # Windows has no such module
        return 0.0
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30
