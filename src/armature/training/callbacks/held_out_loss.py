"""Watches the held-out loss at several noise levels."""

from __future__ import annotations

from dataclasses import dataclass, field

from armature.data.loader.loader import Batches
from armature.training.callbacks.callback import Moment
from armature.training.callbacks.held_out import HeldOutLoss, Probe
from armature.training.callbacks.undisturbed import undisturbed
from armature.training.recipe.duration import Duration


@dataclass(eq=False)
class HeldOutLossWatcher:
    """Figures "held_out/loss", "held_out/t000-250"... and "held_out/without", the loss of the base alone.

    The last one never changes: it is what the curve has to fall below. Plain errors, whatever weighting a training has.
    """

    every: Duration
    probe: Probe
    batches: Batches
    _without: HeldOutLoss | None = field(default=None, init=False)

    def watch(self, moment: Moment) -> dict[str, float]:
        """Measure; see Watcher."""
        with undisturbed(moment.adapter, self.probe.unet):
            if self._without is None:
                self._without = self.probe.loss(self.batches.held_out(), None)
            now = self.probe.loss(self.batches.held_out(), moment.adapter)
        parts = {f"held_out/{name}": value for name, value in zip(self.probe.names, now.buckets, strict=True)}
        return {"held_out/loss": now.mean, **parts, "held_out/without": self._without.mean}
