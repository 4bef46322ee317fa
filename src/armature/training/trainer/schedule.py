"""How long a training lasts and how fast it learns at each moment: functions of steps or minutes, without a state."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from armature.training.recipe.duration import Duration

Schedule = Literal["constant", "cosine", "linear"]

# Where the cosine ends, as a share of the peak: the last steps are to change something still.
COSINE_FLOOR = 0.02


@dataclass(frozen=True)
class Length:
    """The end of a training: after so many optimizer steps, or so many minutes; exactly one of them is given."""

    steps: int | None
    minutes: float | None

    @classmethod
    def of(cls, duration: Duration, per_epoch: int | None) -> Length:
        """From a recipe's length. per_epoch: optimizer steps of an epoch, needed for epochs only."""
        steps = duration.steps(per_epoch)
        return cls(steps, None if steps is not None else duration.amount)

    def progress(self, step: int, minutes: float) -> float:
        """How much of it lies behind, 0..1."""
        share = step / self.steps if self.steps is not None else minutes / (self.minutes or 1.0)
        return min(1.0, share)

    def over(self, step: int, minutes: float) -> bool:
        """Whether nothing is left."""
        return self.progress(step, minutes) >= 1.0


def learning_rate(peak: float, schedule: Schedule, warmup: int, step: int, progress: float) -> float:
    """The rate of the step that follows `step` done ones.

    progress: 0..1 of the whole length. constant stays at the peak; cosine falls to 2 % of it, linear to 0.
    warmup: over so many first steps the rate grows linearly, on top of the schedule.
    """
    if schedule == "cosine":
        factor = COSINE_FLOOR + (1 - COSINE_FLOOR) * 0.5 * (1 + math.cos(math.pi * progress))
    elif schedule == "linear":
        factor = 1 - progress
    else:
        factor = 1.0
    return peak * factor * (min(1.0, (step + 1) / warmup) if warmup else 1.0)


def due(every: Duration | None, step: int, per_epoch: int | None, minutes: float, before: float) -> bool:
    """Whether something that happens `every` so often happens now, after `step` steps.

    minutes: of training so far; before: the same one step ago. Never at step 0, and never for None.
    """
    if every is None or step == 0:
        return False
    steps = every.steps(per_epoch)
    if steps is not None:
        return step % steps == 0
    return math.floor(minutes / every.amount) > math.floor(before / every.amount)
