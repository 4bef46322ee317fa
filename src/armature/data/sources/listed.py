"""Sources whose samples were listed beforehand: which bytes are the picture, the caption, the map."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from armature.data.sources.reading import (
    ByteSource,
    FileBytes,
    Upright,
    ends_digest,
    in_colour,
    read_upright,
    upright_size,
)
from armature.data.sources.source import BadSampleError, Fingerprint, Problem, Sample, Source, printable
from armature.errors import ConditionError, DatasetError
from armature.files import Digest, local_path
from armature.foreign import read_json

PICTURE_ENDINGS = frozenset({"png", "jpg", "jpeg", "webp", "bmp", "tif", "tiff", "gif"})
_READERS = 8
# No caption, and no JSON beside a picture, is this long.
_LONGEST_CAPTION = 1_000_000


@dataclass(frozen=True)
class CaptionBytes:
    """A caption that has to be read: a text, or a field of a JSON object."""

    source: ByteSource
    field: str | None = None


@dataclass(frozen=True)
class NoCaption:
    """That there is none, and what was looked for, in a sentence."""

    reason: str


@dataclass(frozen=True)
class Entry:
    """One sample before it is read. problem: what its listing showed; it is never read then."""

    key: str
    picture: ByteSource | None = None
    caption: str | CaptionBytes | NoCaption = ""
    condition: ByteSource | None = None
    problem: Problem | None = None


class ListedSource(Source):
    """Samples from a list of entries.

    name: how reports call it. maps: whether entries have maps. caption: of samples that have none or an empty one;
    None makes these bad samples.
    """

    def __init__(self, name: str, entries: Sequence[Entry], *, maps: bool, caption: str | None = None) -> None:
        self._name, self._entries, self._maps, self._default = name, entries, maps, caption

    @property
    def name(self) -> str:
        """How reports call it."""
        return self._name

    @property
    def has_maps(self) -> bool:
        """Whether its settings say where maps are."""
        return self._maps

    def __len__(self) -> int:
        return len(self._entries)

    def key(self, index: int) -> str:
        """The key of a sample, without reading it; bytes of a file name that are no valid Unicode are written out."""
        return printable(self._entries[index].key)

    def problem(self, index: int) -> Problem | None:
        """What makes a sample unusable, as far as its listing and its caption tell; its picture is not opened."""
        try:
            self._caption(index)
        except BadSampleError as error:
            return error.problem
        return None

    def size(self, index: int) -> tuple[int, int] | None:
        """(width, height) of the upright picture, from its header; None when that cannot be read."""
        picture = self._entries[index].picture
        try:
            return None if picture is None else upright_size(picture)
        except ConditionError:
            return None

    def read(self, index: int, *, mapped: bool = True) -> Sample:
        """Read a sample, without its map unless `mapped`. Raises BadSampleError for one that cannot be used."""
        key, entry = self.key(index), self._entries[index]
        caption = self._caption(index)
        if entry.picture is None:
            raise BadSampleError(key, Problem("picture", "It has no picture."))
        try:
            picture = read_upright(entry.picture)
        except ConditionError as error:
            raise BadSampleError(key, Problem("picture", str(error))) from error
        condition = self._map(index) if mapped else None
        notes = picture.notes if condition is None else (*picture.notes, *(f"Map: {note}" for note in condition.notes))
        return Sample(
            key=key,
            picture=in_colour(picture.pixels),
            caption=caption,
            condition=None if condition is None else condition.pixels,
            notes=notes,
        )

    def foreign_map(self, index: int) -> np.ndarray | None:
        """Only the map of a sample, None where it has none. Raises BadSampleError when it cannot be read."""
        condition = self._map(index)
        return None if condition is None else condition.pixels

    def fingerprint(self) -> Fingerprint:
        """Of keys, captions, and the size and ends of every picture and map; not of places or time stamps."""
        pictures, maps = Digest(), Digest()
        with ThreadPoolExecutor(_READERS) as readers:
            for picture, condition in readers.map(self._digests, range(len(self))):
                pictures.add(picture)
                maps.add(condition)
        maps.add(pictures.bytes)
        return Fingerprint(pictures.hex, maps.hex)

    def _digests(self, index: int) -> tuple[bytes, bytes]:
        """Of a sample's key, caption and picture, and of its map."""
        entry = self._entries[index]
        try:
            caption = self._caption(index)
        except BadSampleError as error:
            caption = f"bad {error.problem.sort}"
        picture, condition = (b"" if part is None else ends_digest(part) for part in (entry.picture, entry.condition))
        return Digest(self.key(index), caption, picture).bytes, condition

    def _map(self, index: int) -> Upright | None:
        condition = self._entries[index].condition
        if condition is None:
            return None
        try:
            return read_upright(condition)
        except ConditionError as error:
            raise BadSampleError(self.key(index), Problem("condition", f"Its map: {error}")) from error

    def _caption(self, index: int) -> str:
        key, entry = self.key(index), self._entries[index]
        if entry.problem is not None:
            raise BadSampleError(key, entry.problem)
        caption = _read_caption(key, entry.caption) if isinstance(entry.caption, CaptionBytes) else entry.caption
        if isinstance(caption, str):
            if caption != printable(caption):
                raise BadSampleError(key, Problem("caption", f"Its caption is no valid Unicode: {caption!r}."))
            caption = " ".join(caption.split()) or NoCaption("Its caption is empty.")
        if isinstance(caption, NoCaption):
            if self._default is None:
                raise BadSampleError(key, Problem("caption", caption.reason))
            return self._default
        return caption


def _read_caption(key: str, caption: CaptionBytes) -> str | NoCaption:
    try:
        with caption.source.open() as file:
            data = file.read(_LONGEST_CAPTION + 1)
            if len(data) > _LONGEST_CAPTION:
                raise ValueError(f"it has more than {_LONGEST_CAPTION} bytes")
            text = data.decode("utf-8-sig")
        if caption.field is None:
            return text
        content = read_json(text, finite=False)
    except OSError as error:
        reason = f"Its caption cannot be opened ({error.strerror or error})."
        raise BadSampleError(key, Problem("caption", reason)) from error
    except ValueError as error:
        what = "UTF-8 text" if isinstance(error, UnicodeDecodeError) else "JSON"
        raise BadSampleError(key, Problem("caption", f"Its caption is no {what} ({error}).")) from error
    value = content.get(caption.field) if isinstance(content, dict) else None
    return (
        value
        if isinstance(value, str)
        else NoCaption(f"Its JSON has no text under {caption.field!r} (data.caption_column).")
    )


class MapFolder:
    """The maps under a folder, found by the relative stem of their pictures.

    path: where it is. Raises DatasetError when that is no folder.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_dir():
            raise DatasetError(f"data.conditions: no folder at {str(path)!r}; expected the folder of condition maps.")
        self.path = path
        self._maps: dict[str, list[Path]] = {}
        for file in pictures_under(path):
            self._maps.setdefault(stem_of(file, path), []).append(file)

    def find(self, stem: str) -> FileBytes | Problem:
        """The map of a picture with this relative stem, or why there is none."""
        maps = self._maps.get(stem, [])
        if len(maps) == 1:
            return FileBytes(maps[0])
        if maps:
            names = ", ".join(path.name for path in maps)
            return Problem("condition", f"It has {len(maps)} maps ({names}) in {self.path.name!r}; keep one.")
        return Problem("condition", f"It has no map; expected {self.path.name}/{stem}.png or another picture ending.")


def conditions_folder(name: str, root: Path) -> Path:
    """The folder that `data.conditions` names: as it is, or inside the source's folder."""
    path = local_path(name, DatasetError)
    inside = root / path
    return inside if not path.is_absolute() and inside.is_dir() else path


def pictures_under(root: Path, without: Path | None = None) -> list[Path]:
    """Every picture file below a folder, hidden ones and those below `without` left out, in order of their paths."""
    return sorted(_walk(root, without), key=lambda path: path.relative_to(root).as_posix())


def has_pictures(root: Path) -> bool:
    """Whether there is any picture file below a folder."""
    return next(_walk(root, None), None) is not None


def _walk(root: Path, without: Path | None) -> Iterator[Path]:
    skipped = None if without is None else without.resolve()
    for folder, names, files in os.walk(root):
        here = Path(folder)
        names[:] = [name for name in names if not name.startswith(".") and (here / name).resolve() != skipped]
        for name in files:
            if not name.startswith(".") and name.rpartition(".")[2].lower() in PICTURE_ENDINGS and "." in name:
                yield here / name


def stem_of(path: Path, root: Path) -> str:
    """The path relative to the folder, without its last ending, with "/" on every system."""
    return path.relative_to(root).with_suffix("").as_posix()
