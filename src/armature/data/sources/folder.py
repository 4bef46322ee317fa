"""A folder of pictures with their captions beside them."""

from __future__ import annotations

from pathlib import Path

from armature.data.sources.bad import Problem
from armature.data.sources.byte_source import FilePart
from armature.data.sources.listed import Entry, ListedSource, Words
from armature.data.sources.pairing import MapFolder, conditions_folder, pictures_under, stem_of
from armature.errors import DatasetError

CAPTION_ENDINGS = (".txt", ".caption")


def open_folder(root: Path, conditions: str | None = None) -> ListedSource:
    """The pictures under a folder, sub-folders included; keys are paths relative to it.

    The caption of a/b.jpg is a/b.txt or, without that, a/b.caption. conditions: a folder that has its map as
    a/b.png (any picture ending).
    Raises DatasetError when a folder is missing or holds no pictures.
    """
    if not root.is_dir():
        raise DatasetError(f"data.source: no folder at {str(root)!r}; expected a folder of pictures with captions.")
    maps = None if conditions is None else MapFolder(conditions_folder(conditions, root))
    without = None if maps is None else maps.path
    if without is not None and without.resolve() == root.resolve():
        raise DatasetError(f"data.conditions is data.source itself, {str(root)!r}; give maps a folder of their own.")
    entries = [_entry(path, root, maps) for path in pictures_under(root, without)]
    return ListedSource(f"folder {root.name!r}", entries)


def _entry(path: Path, root: Path, maps: MapFolder | None) -> Entry:
    key = path.relative_to(root).as_posix()
    caption = next((beside for end in CAPTION_ENDINGS if (beside := path.with_suffix(end)).is_file()), None)
    if caption is None:
        reason = f"It has no caption; expected {path.stem}.txt or {path.stem}.caption beside it."
        return Entry(key, problem=Problem("caption", reason))
    found = None if maps is None else maps.find(stem_of(path, root))
    if isinstance(found, Problem):
        return Entry(key, problem=found)
    return Entry(key, FilePart(path), Words(FilePart(caption)), found)
