"""A folder of pictures with their captions beside them."""

from __future__ import annotations

import os
from pathlib import Path

from armature.data.settings import DataSettings
from armature.data.sources.listed import (
    CaptionBytes,
    Entry,
    ListedSource,
    MapFolder,
    NoCaption,
    conditions_folder,
    has_pictures,
    pictures_under,
    stem_of,
)
from armature.data.sources.reading import FileBytes
from armature.data.sources.source import Problem, SourceFormat
from armature.errors import DatasetError
from armature.files import local_path

CAPTION_ENDINGS = (".txt", ".caption")


def open_folder(settings: DataSettings, kind: str) -> ListedSource:
    """The pictures under a folder, sub-folders included; keys are paths relative to it.

    The caption of a/b.jpg is a/b.txt or, without that, a/b.caption; its map a/b.png (any picture ending) in the
    folder `data.conditions`. Raises DatasetError when a folder is missing.
    """
    root = local_path(settings.source, DatasetError)
    if not root.is_dir():
        raise DatasetError(f"data.source: no folder at {str(root)!r}; expected a folder of pictures with captions.")
    maps = None if settings.conditions is None else MapFolder(conditions_folder(settings.conditions, root))
    without = None if maps is None else maps.path
    if without is not None and without.resolve() == root.resolve():
        raise DatasetError(f"data.conditions is data.source itself, {str(root)!r}; give maps a folder of their own.")
    entries = [_entry(path, root, maps) for path in pictures_under(root, without)]
    return ListedSource(f"folder {root.name!r}", entries, maps=maps is not None, caption=settings.default_caption)


def _entry(path: Path, root: Path, maps: MapFolder | None) -> Entry:
    key = path.relative_to(root).as_posix()
    # A name may be as long as it can be with its own ending, and too long with another: no file then, and no error.
    caption = next((beside for end in CAPTION_ENDINGS if os.path.isfile(beside := path.with_suffix(end))), None)
    condition = None if maps is None else maps.find(stem_of(path, root))
    if isinstance(condition, Problem):
        return Entry(key, problem=condition)
    if caption is None:
        reason = f"It has no caption; expected {path.stem}.txt or {path.stem}.caption beside it."
        return Entry(key, FileBytes(path), NoCaption(reason), condition)
    return Entry(key, FileBytes(path), CaptionBytes(FileBytes(caption)), condition)


def _fits(source: str) -> float:
    path = local_path(source, DatasetError)
    if not path.is_dir():
        return 0
    return 0.6 if has_pictures(path) else 0.1


FORMAT = SourceFormat(_fits, open_folder)
