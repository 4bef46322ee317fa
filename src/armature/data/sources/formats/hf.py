"""Data sets of the `datasets` library: saved on disk, or by their hub id."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, overload

from armature.data.settings import DataSettings
from armature.data.sources.listed import Entry, ListedSource, NoCaption, has_pictures
from armature.data.sources.reading import LazyBytes
from armature.data.sources.source import Problem, SourceFormat, library
from armature.errors import DatasetError
from armature.files import local_path

_HUB_ID = re.compile(r"[\w-][\w.-]*/[\w.-]+")
SAVED = ("state.json", "dataset_dict.json")


def open_hf(settings: DataSettings, kind: str) -> ListedSource:
    """A split of a saved data set (`save_to_disk`), of a folder that `load_dataset` reads, or of a hub id.

    `data.image_column`, `data.conditions`: columns of pictures. `data.caption_column`: a column of texts. Keys are row
    numbers. Raises DatasetError when it cannot be loaded, and for a split or columns that it does not have.
    """
    source, image, conditions = settings.source, settings.image_column, settings.conditions
    datasets = library("datasets", f"data.source = {source!r} (format hf)")
    table = _load(datasets, source, settings.split)
    columns = {"data.image_column": image, "data.caption_column": settings.caption_column}
    if conditions is not None:
        columns["data.conditions"] = conditions
    wrong = [f"{key} = {name!r}" for key, name in columns.items() if name not in table.column_names]
    if wrong:
        have = ", ".join(table.column_names)
        raise DatasetError(f"{source!r} has no column for {' and '.join(wrong)}; it has: {have}.")
    pictures = [image] if conditions is None else [image, conditions]
    for name in pictures:
        table = _undecoded(datasets, table, name, source)
    return ListedSource(
        f"data set {Path(source).name!r} ({settings.split})",
        _Rows(table, image, settings.caption_column, conditions),
        maps=conditions is not None,
        caption=settings.default_caption,
    )


def _load(datasets: Any, source: str, split: str) -> Any:
    path = local_path(source, DatasetError)
    try:
        if any((path / name).is_file() for name in SAVED):
            loaded = datasets.load_from_disk(str(path))
        else:
            loaded = datasets.load_dataset(str(path) if path.exists() else source)
    except Exception as error:  # the library raises many kinds, for the network, names and files
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise DatasetError(
            f"data.source = {source!r} cannot be loaded as a data set ({reason}). Expected a folder that "
            "save_to_disk wrote, or a hub id; if it is a folder of pictures, check its path."
        ) from error
    if not isinstance(loaded, dict):
        return loaded  # one split, saved alone
    if split not in loaded:
        raise DatasetError(f"{source!r} has no split {split!r} (data.split); it has: {', '.join(loaded)}.")
    return loaded[split]


def _undecoded(datasets: Any, table: Any, name: str, source: str) -> Any:
    """The table with a picture column as bytes: pictures are decoded by the library's one door."""
    try:
        return table.cast_column(name, datasets.Image(decode=False))
    except Exception as error:  # Arrow's own kinds
        raise DatasetError(
            f"Column {name!r} of {source!r} holds {table.features[name]}, not pictures; name another column."
        ) from error


class _Rows(Sequence[Entry]):
    """The rows of a table as entries, made when they are asked for."""

    def __init__(self, table: Any, image: str, caption: str, conditions: str | None) -> None:
        self._table, self._image, self._conditions = table, image, conditions
        # A column by itself, so that reading a caption does not touch the pictures.
        self._captions = table.select_columns([caption])
        self._caption = caption
        self._pictures = {name: table.select_columns([name]) for name in (image, conditions) if name is not None}

    def __len__(self) -> int:
        return len(self._table)

    @overload
    def __getitem__(self, index: int) -> Entry: ...
    @overload
    def __getitem__(self, index: slice) -> list[Entry]: ...
    def __getitem__(self, index: int | slice) -> Entry | list[Entry]:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        if not 0 <= index < len(self):
            raise IndexError(index)
        key = f"row {index:07d}"
        caption = self._captions[index][self._caption]
        if caption is None:
            caption = NoCaption("Its caption is empty.")
        elif not isinstance(caption, str):
            kind = type(caption).__name__
            return Entry(key, problem=Problem("caption", f"Its caption is a {kind}, not a text (data.caption_column)."))
        condition = None
        if self._conditions is not None:
            condition = LazyBytes(partial(self._bytes, index, self._conditions))
        return Entry(key, LazyBytes(partial(self._bytes, index, self._image)), caption, condition)

    def _bytes(self, index: int, column: str) -> bytes:
        cell = self._pictures[column][index][column]
        if cell is None:
            raise OSError(f"row {index} has nothing in column {column!r}")
        if cell.get("bytes") is not None:
            return cell["bytes"]
        return Path(cell["path"]).read_bytes()


def _fits(source: str) -> float:
    path = local_path(source, DatasetError)
    if path.is_dir():
        if any((path / name).is_file() for name in SAVED):
            return 0.9
        if has_pictures(path):
            return 0
        tables = (next(path.rglob(pattern), None) for pattern in ("*.parquet", "*.arrow"))
        return 0.3 if any(table is not None for table in tables) else 0
    is_id = _HUB_ID.fullmatch(source) is not None and not path.exists() and not path.parent.is_dir()
    return 0.5 if is_id else 0


FORMAT = SourceFormat(_fits, open_hf)
