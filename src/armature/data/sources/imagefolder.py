"""Pictures listed in metadata.jsonl, the layout of Hugging Face's imagefolder."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from armature.data.sources.bad import Problem
from armature.data.sources.byte_source import FilePart
from armature.data.sources.listed import Entry, ListedSource
from armature.data.sources.pairing import MapFolder, conditions_folder, stem_of
from armature.errors import DatasetError

METADATA = "metadata.jsonl"


def open_imagefolder(root: Path, *, image: str, caption: str, conditions: str | None = None) -> ListedSource:
    """The rows of every metadata.jsonl under a folder; keys are the pictures' paths relative to it.

    A row names its picture under "file_name", `image`_file_name or `image`, relative to its own metadata.jsonl, and
    its caption under `caption`. conditions: the column of its map (also with _file_name), or a folder paired by stem.
    Raises DatasetError when the folder, the file or the conditions are missing.
    """
    files = sorted(root.rglob(METADATA)) if root.is_dir() else []
    if not files:
        raise DatasetError(f"data.source: no {METADATA} under {str(root)!r}; expected one that lists the pictures.")
    rows = [row for file in files for row in _rows(file, root)]
    maps = _map_folder(conditions, root, rows)
    entries: list[Entry] = []
    seen: dict[str, int] = {}
    for place, folder, row in rows:
        entry = row if isinstance(row, Entry) else _entry(place, folder, root, row, image, caption, conditions, maps)
        seen[entry.key] = seen.get(entry.key, 0) + 1
        if seen[entry.key] > 1:  # one picture with several captions is several samples
            entry = Entry(
                f"{entry.key}#{seen[entry.key]}", entry.picture, entry.caption, entry.condition, entry.problem
            )
        entries.append(entry)
    return ListedSource(f"imagefolder {root.name!r}", entries)


_Row = tuple[str, Path, Mapping[str, Any] | Entry]


def _rows(file: Path, root: Path) -> Iterator[_Row]:
    """(its name for reports, its folder, its content) of every line; a line that is no JSON object is a bad sample."""
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"{str(file)!r} cannot be read ({error}); expected UTF-8 lines of JSON.") from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        place = f"{file.relative_to(root).as_posix()}:{number}"
        try:
            row = json.loads(line)
        except ValueError as error:
            row = None
            reason = f"The line is not JSON ({error})."
        else:
            reason = "The line is no JSON object."
        bad = Entry(place, problem=Problem("picture", reason))
        yield place, file.parent, row if isinstance(row, dict) else bad


def _map_folder(conditions: str | None, root: Path, rows: list[_Row]) -> MapFolder | None:
    """The folder of maps, when `conditions` is no column of any row."""
    if conditions is None:
        return None
    names = (conditions, f"{conditions}_file_name")
    if any(name in row for _, _, row in rows if isinstance(row, Mapping) for name in names):
        return None
    folder = conditions_folder(conditions, root)
    if not folder.is_dir():
        raise DatasetError(
            f"data.conditions = {conditions!r} is neither a column of {METADATA} nor a folder; "
            f"expected a column with the paths of the maps, or a folder with maps of the pictures' names."
        )
    return MapFolder(folder)


def _entry(
    place: str,
    folder: Path,
    root: Path,
    row: Mapping[str, Any],
    image: str,
    caption: str,
    conditions: str | None,
    maps: MapFolder | None,
) -> Entry:
    picture = _file(row, ("file_name", f"{image}_file_name", image), folder, root)
    if isinstance(picture, str):
        return Entry(place, problem=Problem("picture", f"Its picture: {picture}"))
    key = picture.relative_to(os.path.normpath(root)).as_posix()
    text = row.get(caption)
    if not isinstance(text, str):
        return Entry(key, problem=Problem("caption", f"Its row has no text under {caption!r} (data.caption_column)."))
    found: FilePart | Problem | None = None
    if maps is not None:
        found = maps.find(stem_of(picture, Path(os.path.normpath(root))))
    elif conditions is not None:
        path = _file(row, (conditions, f"{conditions}_file_name"), folder, root)
        found = Problem("condition", f"Its map: {path}") if isinstance(path, str) else FilePart(path)
    if isinstance(found, Problem):
        return Entry(key, problem=found)
    return Entry(key, FilePart(picture), text, found)


def _file(row: Mapping[str, Any], names: tuple[str, ...], folder: Path, root: Path) -> Path | str:
    """The file that a row names under the first of the columns that it has, or what is wrong."""
    name = next((name for name in names if name in row), None)
    value = None if name is None else row[name]
    if not isinstance(value, str) or not value:
        return f"its row has no file under {names[0]!r}."
    # Not resolved: the pictures themselves may well be links into a store elsewhere.
    path = Path(os.path.normpath(folder / value))
    if not path.is_relative_to(os.path.normpath(root)):
        return f"{value!r} lies outside the folder of the data."
    if not path.is_file():
        return f"there is no file {value!r}."
    return path
