"""From what a recipe says about its data to a source of samples."""

from __future__ import annotations

import re
from pathlib import Path

from armature.data.settings import DataSettings, Format
from armature.data.sources.folder import open_folder
from armature.data.sources.hf import SAVED, open_hf
from armature.data.sources.imagefolder import METADATA, open_imagefolder
from armature.data.sources.pairing import pictures_under
from armature.data.sources.source import Source
from armature.data.sources.toyworld import ToyworldSource
from armature.data.sources.webdataset import is_remote, open_webdataset
from armature.errors import DatasetError, RecipeError

TOYWORLD = "toyworld"
_HUB_ID = re.compile(r"[\w-][\w.-]*/[\w.-]+")


def open_source(settings: DataSettings, kind: str) -> Source:
    """The source of samples that `data.source` names, its format found out where the recipe leaves it open.

    kind: of control, for the maps that toyworld's scenes carry.
    Raises DatasetError when there is no such data or it is of another format; RecipeError for settings that
    contradict each other.
    """
    if settings.conditions is not None and (settings.extractor is not None or settings.extract):
        raise RecipeError(
            "data.conditions gives ready maps, and data.extractor or data.extract makes them from the pictures; "
            "keep one of the two."
        )
    wanted = settings.format if settings.format != "auto" else find_format(settings.source)
    root = Path(settings.source).expanduser()
    columns = {"image": settings.image_column, "caption": settings.caption_column, "conditions": settings.conditions}
    if wanted == "toyworld":
        return _toyworld(settings, kind)
    if wanted == "webdataset":
        return open_webdataset(settings.source, **columns)
    if wanted == "hf":
        return open_hf(settings.source, split=settings.split, **columns)
    if wanted == "imagefolder":
        return open_imagefolder(root.parent if root.name == METADATA else root, **columns)
    return open_folder(root, settings.conditions)


def find_format(source: str) -> Format:
    """The format of what is at a path, pattern or hub id. Raises DatasetError when nothing is there."""
    if source == TOYWORLD:
        return "toyworld"
    path = Path(source).expanduser()
    if path.is_dir():
        return _format_of_folder(path)
    if path.name == METADATA and path.is_file():
        return "imagefolder"
    if is_remote(source) or source.endswith(".tar") or any(mark in source for mark in "{*?") or "::" in source:
        return "webdataset"
    if path.is_file():
        raise DatasetError(
            f"data.source = {source!r} is one file; expected a folder, .tar shards, a {METADATA} or a hub id."
        )
    if _HUB_ID.fullmatch(source) and not path.parent.is_dir():
        return "hf"
    raise DatasetError(
        f"data.source: nothing at {source!r}; expected a folder, .tar shards, a hub id (owner/name) or 'toyworld'."
    )


def _format_of_folder(path: Path) -> Format:
    if any((path / name).is_file() for name in SAVED):
        return "hf"
    if (path / METADATA).is_file():
        return "imagefolder"
    if next(pictures_under(path), None) is not None:
        # A metadata.jsonl may lie in each sub-folder as well.
        return "imagefolder" if next(path.rglob(METADATA), None) is not None else "folder"
    if next(path.glob("*.tar"), None) is not None:
        return "webdataset"
    if next(path.rglob("*.parquet"), None) is not None or next(path.rglob("*.arrow"), None) is not None:
        return "hf"
    return "folder"


def _toyworld(settings: DataSettings, kind: str) -> ToyworldSource:
    if settings.source != TOYWORLD:
        raise RecipeError(f"data.format is toyworld, and data.source {settings.source!r}; give source = 'toyworld'.")
    if settings.conditions is not None:
        raise RecipeError("data.conditions: toyworld has its own exact maps; leave it out.")
    extracted = settings.extractor is not None or bool(settings.extract)
    return ToyworldSource(settings.count, settings.held_out, settings.resolution, None if extracted else kind)
