"""A finding's input made smaller, as long as it goes wrong in the same way."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from fuzz.kind import INPUT, OUT, Case
from fuzz.worker import Limits, Result, use_folder

_TRIES = 60
_LARGEST = 4_000_000


def minimize(case: Case, result: Result, place: Path, home: Path, limits: Limits) -> None:
    """Remove files and parts of files of a written case, at most 60 trials, each in a process of its own."""
    if result.sort in ("hang", "memory"):
        return  # each trial would take as long again
    tries = 0
    for path in sorted((place / INPUT).rglob("*"), key=lambda one: -len(one.parts)):
        if path.is_symlink() or not path.is_file() or path.stat().st_size > _LARGEST:
            continue
        whole = path.read_bytes()
        for smaller in (None, *_smaller(whole)):
            if tries >= _TRIES:
                return
            if smaller is not None and len(smaller) >= path.stat().st_size:
                continue
            tries += 1
            before = path.read_bytes()
            path.unlink()
            if smaller is not None:
                path.write_bytes(smaller)
            if _same(case, result, place, home, limits):
                if smaller is None:
                    break
            else:
                path.write_bytes(before)


def _smaller(data: bytes) -> Iterator[bytes]:
    """The data without its end, and without each of its parts, coarse parts first."""
    for share in (2, 4, 8):
        size = max(1, len(data) // share)
        yield data[:-size]
        for start in range(0, len(data), size):
            yield data[:start] + data[start + size :]


def _same(case: Case, result: Result, place: Path, home: Path, limits: Limits) -> bool:
    trial = home / "trial"
    shutil.rmtree(trial, ignore_errors=True)
    os.makedirs(trial)
    # Links stay links, and pipes are made anew: a copy would follow the one and wait for the other.
    shutil.copytree(place, trial, symlinks=True, copy_function=_copy, dirs_exist_ok=True)
    (trial / OUT).mkdir(exist_ok=True)
    again = use_folder(case.kind, trial, home, limits)
    return (again.sort, again.place) == (result.sort, result.place)


def _copy(source: str, target: str) -> None:
    if os.path.isfile(source):
        shutil.copyfile(source, target)
    else:
        os.mkfifo(target)
