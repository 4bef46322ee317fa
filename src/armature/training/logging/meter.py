"""The figures that a training logs about itself, and how long it will still take."""

from __future__ import annotations

import sys

import torch

from armature.training.logging.progress import Progress
from armature.training.trainer.nan_guard import Figures


class Meter:
    """Speed since the last log line, and the pace of this sitting.

    images, minutes, share: where this sitting starts; share is how much of the whole length lies behind, 0..1.
    """

    def __init__(self, device: torch.device, images: int, minutes: float, share: float) -> None:
        self._device = device
        self._start = (minutes, share)
        self._mark = (images, minutes)
        self.figures: dict[str, float] = {}

    def log(self, figures: Figures, rate: float, images: int, minutes: float) -> dict[str, float]:
        """The figures of a log line. rate: the learning rate. images, minutes: of the whole training so far."""
        seconds = max(60 * (minutes - self._mark[1]), 1e-9)
        self.figures = {
            "train/loss": figures.loss,
            "train/gradient_norm": figures.norm,
            "train/learning_rate": rate,
            "train/images_per_second": (images - self._mark[0]) / seconds,
            "train/memory_gib": peak_memory(self._device),
        }
        if figures.skipped:
            self.figures["train/skipped_steps"] = float(figures.skipped)
        self._mark = (images, minutes)
        return self.figures

    def progress(self, step: int, steps: int | None, share: float, minutes: float) -> Progress:
        """What a progress bar shows. steps: of the whole training, None when it is measured in minutes."""
        done = share - self._start[1]
        left = (minutes - self._start[0]) * (1 - share) / done if done > 0 else None
        return Progress(step, steps, share, minutes, left, self.figures)


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
