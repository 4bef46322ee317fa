"""What a running training tells those who show it and those who write it down."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Progress:
    """A training between two steps, as a progress bar shows it.

    step: optimizer steps done; steps: of the whole training, None when it is measured in minutes.
    share: how much of it is done, 0..1. minutes: of training so far, over all sittings.
    minutes_left: by this sitting's pace, None before its first step.
    figures: those last logged, by name: "train/loss", "train/images_per_second", "train/memory_gib"...
    """

    step: int
    steps: int | None
    share: float
    minutes: float
    minutes_left: float | None
    figures: dict[str, float]


class Metrics(Protocol):
    """Where figures are written down; used in the first process only."""

    def write(
        self, step: int, figures: dict[str, float], *, minutes: float | None = None, images: int | None = None
    ) -> None:
        """Figures after `step` optimizer steps, by slash-separated names."""
        ...

    def rewind(self, step: int) -> None:
        """Forget everything about steps after `step`; called once, before the first write."""
        ...
