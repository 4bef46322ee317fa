"""Pictures listed in metadata.jsonl or metadata.csv, the layout of Hugging Face's imagefolder."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from armature.data.settings import DataSettings
from armature.data.sources.listed import (
    Entry,
    ListedSource,
    MapFolder,
    NoCaption,
    conditions_folder,
    has_pictures,
    stem_of,
)
from armature.data.sources.reading import FileBytes
from armature.data.sources.source import Problem, SourceFormat
from armature.errors import DatasetError
from armature.files import local_path
from armature.foreign import read_json

METADATA = ("metadata.jsonl", "metadata.csv")
_HEADER_BYTES = 64 * 1024

# Its name for reports, its folder, and its content, or why it has none.
_Row = tuple[str, Path, Mapping[str, Any] | Problem]


def open_imagefolder(settings: DataSettings, kind: str) -> ListedSource:
    """The rows of every metadata file under a folder; keys are the pictures' paths relative to it.

    A row names its picture under "file_name", `data.image_column`_file_name or `data.image_column`, relative to its own
    metadata file, and its caption under `data.caption_column`. `data.conditions`: the column of its map (also with
    _file_name), or a folder paired by stem. Raises DatasetError when the folder, the file or the conditions are
    missing, and for a folder with both metadata files.
    """
    path = local_path(settings.source, DatasetError)
    root = path.parent if path.name in METADATA else path
    rows = [row for file in _metadata(root) for row in _rows(file, root)]
    maps = _map_folder(settings.conditions, root, rows)
    entries: list[Entry] = []
    seen: dict[str, int] = {}
    for place, folder, row in rows:
        entry = (
            Entry(place, problem=row) if isinstance(row, Problem) else _entry(place, folder, root, row, settings, maps)
        )
        seen[entry.key] = seen.get(entry.key, 0) + 1
        if seen[entry.key] > 1:  # one picture with several captions is several samples
            key = f"{entry.key}#{seen[entry.key]}"
            entry = Entry(key, entry.picture, entry.caption, entry.condition, entry.problem)
        entries.append(entry)
    return ListedSource(
        f"imagefolder {root.name!r}",
        entries,
        maps=settings.conditions is not None,
        caption=settings.default_caption,
    )


def _metadata(root: Path) -> list[Path]:
    files = [path for name in METADATA for path in root.rglob(name) if path.is_file()] if root.is_dir() else []
    if not files:
        raise DatasetError(
            f"data.source: no {' or '.join(METADATA)} under {str(root)!r}; expected one that lists the pictures."
        )
    folders = [file.parent for file in files]
    if twice := sorted({str(folder) for folder in folders if folders.count(folder) > 1}):
        raise DatasetError(f"{twice[0]!r} has both {' and '.join(METADATA)}; keep the one that counts.")
    return sorted(files)


def _rows(file: Path, root: Path) -> Iterator[_Row]:
    """Every row; a line that cannot be read is a bad sample, and the others stay good."""
    try:
        data = file.read_bytes().removeprefix(b"\xef\xbb\xbf")
    except OSError as error:
        raise DatasetError(f"{str(file)!r} cannot be read ({error.strerror or error}).") from error
    read = _csv_rows if file.suffix == ".csv" else _json_rows
    for number, row in read(data):
        yield f"{file.relative_to(root).as_posix()}:{number}", file.parent, row


def _json_rows(data: bytes) -> Iterator[tuple[int, Mapping[str, Any] | Problem]]:
    for number, line in enumerate(data.split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            row = read_json(line.decode(), finite=False)
        except ValueError as error:
            what = "UTF-8 text" if isinstance(error, UnicodeDecodeError) else "JSON"
            yield number, Problem("picture", f"The line is not {what} ({error}).")
        else:
            yield number, row if isinstance(row, dict) else Problem("picture", "The line is no JSON object.")


def _csv_rows(data: bytes) -> Iterator[tuple[int, Mapping[str, Any] | Problem]]:
    # Bytes that are no UTF-8 are told of the one caption or name that has them.
    reader = csv.DictReader(io.StringIO(data.decode(errors="surrogateescape"), newline=""))
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield reader.line_num, Problem("picture", f"The line is no CSV ({error}).")
            continue
        if None in row:
            yield reader.line_num, Problem("picture", "The line has more columns than the first line names.")
        else:
            yield reader.line_num, row


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
            f"data.conditions = {conditions!r} is neither a column of {' or '.join(METADATA)} nor a folder; "
            f"expected a column with the paths of the maps, or a folder with maps of the pictures' names."
        )
    return MapFolder(folder)


def _entry(
    place: str, folder: Path, root: Path, row: Mapping[str, Any], settings: DataSettings, maps: MapFolder | None
) -> Entry:
    image, column, conditions = settings.image_column, settings.caption_column, settings.conditions
    picture = _file(row, ("file_name", f"{image}_file_name", image), folder, root)
    if isinstance(picture, str):
        return Entry(place, problem=Problem("picture", f"Its picture: {picture}"))
    key = picture.relative_to(os.path.normpath(root)).as_posix()
    text = row.get(column)
    reason = f"Its row has no text under {column!r} (data.caption_column)."
    if text is not None and not isinstance(text, str):
        return Entry(key, problem=Problem("caption", reason))
    condition: FileBytes | Problem | None = None
    if maps is not None:
        condition = maps.find(stem_of(picture, Path(os.path.normpath(root))))
    elif conditions is not None:
        path = _file(row, (conditions, f"{conditions}_file_name"), folder, root)
        condition = Problem("condition", f"Its map: {path}") if isinstance(path, str) else FileBytes(path)
    if isinstance(condition, Problem):
        return Entry(key, problem=condition)
    return Entry(key, FileBytes(picture), NoCaption(reason) if text is None else text, condition)


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
    if not os.path.isfile(path):  # also for names that no file system has, over which Path.is_file stumbles
        return f"there is no file {value!r}."
    return path


def _fits(source: str) -> float:
    path = local_path(source, DatasetError)
    if not path.is_dir():
        return 0.8 if path.name in METADATA and path.is_file() else 0
    if any(_lists_pictures(path / name) for name in METADATA):
        return 0.8
    # A metadata file may lie in each sub-folder as well.
    nested = (Path(folder, name) for folder, _, files in os.walk(path) for name in METADATA if name in files)
    return 0.7 if has_pictures(path) and any(_lists_pictures(file) for file in nested) else 0


def _lists_pictures(metadata: Path) -> bool:
    """Whether a file is there and, as a table, has a column of files: tables of that name may hold anything."""
    if not metadata.is_file() or metadata.suffix != ".csv":
        return metadata.is_file()
    try:
        with metadata.open("rb") as file:
            return b"file_name" in file.readline(_HEADER_BYTES)
    except OSError:
        return True  # reading it will tell what is wrong


FORMAT = SourceFormat(_fits, open_imagefolder)
