"""The minutes of a training: those of its steps alone, over all its sittings."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Clock:
    """Counts on from the minutes of earlier sittings; stands still while something else than training happens."""

    def __init__(self, minutes: float = 0.0, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._spent = minutes * 60
        self._since: float | None = now()

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
