"""A folder of condition maps, found by the relative stem of the picture they belong to."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from armature.data.sources.bad import Problem
from armature.data.sources.byte_source import FilePart
from armature.data.sources.listed import PICTURE_ENDINGS
from armature.errors import DatasetError


class MapFolder:
    """The maps under a folder. path: where it is. Raises DatasetError when that is no folder."""

    def __init__(self, path: Path) -> None:
        if not path.is_dir():
            raise DatasetError(f"data.conditions: no folder at {str(path)!r}; expected the folder of condition maps.")
        self.path = path
        self._maps: dict[str, list[Path]] = {}
        for found in pictures_under(path):
            self._maps.setdefault(stem_of(found, path), []).append(found)

    def find(self, stem: str) -> FilePart | Problem:
        """The map of a picture with this relative stem, or why there is none."""
        found = self._maps.get(stem, [])
        if len(found) == 1:
            return FilePart(found[0])
        if found:
            names = ", ".join(path.name for path in found)
            return Problem("condition", f"It has {len(found)} maps ({names}) in {self.path.name!r}; keep one.")
        return Problem("condition", f"It has no map; expected {self.path.name}/{stem}.png or another picture ending.")


def conditions_folder(name: str, root: Path) -> Path:
    """The folder that `data.conditions` names: as it is, or inside the source's folder."""
    path = Path(name).expanduser()
    inside = root / path
    return inside if not path.is_absolute() and inside.is_dir() else path


def pictures_under(root: Path, without: Path | None = None) -> Iterator[Path]:
    """Every picture file below a folder, hidden ones and those below `without` left out, in order of their paths."""
    skipped = None if without is None else without.resolve()
    found: list[Path] = []
    for folder, names, files in os.walk(root):
        here = Path(folder)
        names[:] = [name for name in names if not name.startswith(".") and (here / name).resolve() != skipped]
        found += [
            here / name
            for name in files
            if not name.startswith(".") and name.rpartition(".")[2].lower() in PICTURE_ENDINGS and "." in name
        ]
    return iter(sorted(found, key=lambda path: path.relative_to(root).as_posix()))


def stem_of(path: Path, root: Path) -> str:
    """The path relative to the folder, without its last ending, with "/" on every system."""
    return path.relative_to(root).with_suffix("").as_posix()
