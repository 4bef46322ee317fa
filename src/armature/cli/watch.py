"""Drawing again whenever a file is saved, until Ctrl-C."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from armature.errors import ConditionError

# Seconds between two looks at the files; one that was written in between is still being saved.
LOOK = 0.25
# Programs write a large picture in pieces, and some remove the old file first.
_TRIES = 4

Stamp = tuple[int, int, int] | None


def watch(
    files: Sequence[Path],
    draw: Callable[[], None],
    tell: Callable[[str], None],
    *,
    sleep: Callable[[float], object] = time.sleep,
) -> None:
    """Call `draw` now, and again after each change of a file, until KeyboardInterrupt, which ends it quietly.

    A picture that cannot be used (ConditionError from `draw`) is tried again a few times, since it may be half saved,
    then told, and watching goes on. Every other error is the caller's.
    """
    try:
        while True:
            drawn = _draw(files, draw, tell, sleep)
            while _stamps(files) == drawn:
                sleep(LOOK)
            _settle(files, sleep)
    except KeyboardInterrupt:
        return


def _draw(
    files: Sequence[Path], draw: Callable[[], None], tell: Callable[[str], None], sleep: Callable[[float], object]
) -> list[Stamp]:
    """Draw, or tell why not; returns what the files were when they were last read."""
    left = _TRIES
    while True:
        drawn, left = _stamps(files), left - 1
        try:
            draw()
            return drawn
        except ConditionError as error:
            if not left:
                tell(str(error))
                return drawn
        sleep(LOOK)


def _settle(files: Sequence[Path], sleep: Callable[[float], object]) -> None:
    """Wait until nothing has changed between two looks."""
    before, now = None, _stamps(files)
    while now != before:
        sleep(LOOK)
        before, now = now, _stamps(files)


def _stamps(files: Sequence[Path]) -> list[Stamp]:
    return [_stamp(path) for path in files]


def _stamp(path: Path) -> Stamp:
    try:
        state = os.stat(path)
    except OSError:
        return None
    return state.st_mtime_ns, state.st_size, state.st_ino
