"""What looks at a training from outside while it runs: previews, held-out loss, control fidelity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from armature.adapters.base import Adapter
from armature.training.recipe.duration import Duration


@dataclass(frozen=True, eq=False)
class Moment:
    """A training between two steps.

    step: optimizer steps done. images: samples learned from, over all processes. minutes: of training alone.
    adapter: with the averaged weights, if there are any, in evaluation mode and without gradients.
    """

    step: int
    images: int
    minutes: float
    adapter: Adapter


class Watcher(Protocol):
    """Called in the first process while the others wait. Must leave the U-Net and all random states as they were."""

    @property
    def every(self) -> Duration:
        """How often; it also looks at step 0 and at the end."""
        ...

    def watch(self, moment: Moment) -> dict[str, float]:
        """Figures for the log, by slash-separated names such as "held_out/loss"; pictures go into the run folder."""
        ...
