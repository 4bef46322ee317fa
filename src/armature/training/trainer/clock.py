"""The minutes of a training, how long it lasts, and what is due at a step."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from armature.training.recipe.duration import Duration


class Clock:
    """The minutes of a training: counts from those of earlier runs, and stands still until started and while paused."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._spent = 0.0
        self._since: float | None = None

    def start(self, minutes: float) -> None:
        """Go on from so many minutes."""
        self._spent, self._since = minutes * 60, self._now()

    @property
    def minutes(self) -> float:
        """Minutes so far."""
        running = 0.0 if self._since is None else self._now() - self._since
        return (self._spent + running) / 60

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Stand still while the block runs."""
        self._spent, self._since = self.minutes * 60, None
        try:
            yield
        finally:
            self._since = self._now()


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
