"""A source whose samples were listed beforehand: which bytes are the picture, the caption, the map."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from armature.data.sources.bad import BadSampleError, Problem
from armature.data.sources.byte_source import Part, ends_digest
from armature.data.sources.reading import Upright, in_colour, read_upright, upright_size
from armature.data.sources.source import Fingerprint, Sample
from armature.errors import ConditionError

PICTURE_ENDINGS = frozenset({"png", "jpg", "jpeg", "webp", "bmp", "tif", "tiff", "gif"})
_READERS = 8


@dataclass(frozen=True)
class Words:
    """A caption that has to be read: a text, or a field of a JSON object."""

    part: Part
    field: str | None = None


@dataclass(frozen=True)
class Entry:
    """One sample before it is read. problem: what its listing showed; it is never read then."""

    key: str
    picture: Part | None = None
    caption: str | Words = ""
    condition: Part | None = None
    problem: Problem | None = None


class ListedSource:
    """Samples from a list of entries. name: how reports call it."""

    def __init__(self, name: str, entries: Sequence[Entry]) -> None:
        self._name = name
        self._entries = entries

    @property
    def name(self) -> str:
        """How reports call it."""
        return self._name

    def __len__(self) -> int:
        return len(self._entries)

    def key(self, index: int) -> str:
        """The key of a sample, without reading it."""
        return self._entries[index].key

    def problem(self, index: int) -> Problem | None:
        """What makes a sample unusable, as far as its listing and its caption tell; its picture is not opened."""
        try:
            self._caption(self._entries[index])
        except BadSampleError as error:
            return error.problem
        return None

    def size(self, index: int) -> tuple[int, int] | None:
        """(width, height) of the upright picture, from its header; None when that cannot be read."""
        part = self._entries[index].picture
        try:
            return None if part is None else upright_size(part)
        except ConditionError:
            return None

    def read(self, index: int, *, mapped: bool = True) -> Sample:
        """Read a sample, without its map unless `mapped`. Raises BadSampleError for one that cannot be used."""
        entry = self._entries[index]
        part = self._picture(entry)
        caption = self._caption(entry)
        try:
            picture = read_upright(part)
        except ConditionError as error:
            raise BadSampleError(entry.key, Problem("picture", str(error))) from error
        condition = self.read_condition(index) if mapped else None
        notes = picture.notes if condition is None else (*picture.notes, *(f"Map: {note}" for note in condition.notes))
        return Sample(
            key=entry.key,
            picture=in_colour(picture.pixels),
            caption=caption,
            condition=None if condition is None else condition.pixels,
            notes=notes,
        )

    def read_condition(self, index: int) -> Upright | None:
        """Only the map of a sample, None where it has none. Raises BadSampleError when it cannot be read."""
        entry = self._entries[index]
        if entry.condition is None:
            return None
        try:
            return read_upright(entry.condition)
        except ConditionError as error:
            raise BadSampleError(entry.key, Problem("condition", f"Its map: {error}")) from error

    def fingerprint(self) -> Fingerprint:
        """Of keys, captions, and the size and ends of every picture and map; not of places or time stamps."""
        pictures, maps = hashlib.blake2b(digest_size=16), hashlib.blake2b(digest_size=16)
        with ThreadPoolExecutor(_READERS) as readers:
            for picture, found in readers.map(self._digests, self._entries):
                pictures.update(picture)
                maps.update(found)
        maps.update(pictures.digest())
        return Fingerprint(pictures.hexdigest(), maps.hexdigest())

    def _digests(self, entry: Entry) -> tuple[bytes, bytes]:
        """Of a sample's key, caption and picture, and of its map."""
        try:
            caption = self._caption(entry)
        except BadSampleError as error:
            caption = f"bad {error.problem.sort}"
        picture, found = (ends_digest(part) if part is not None else b"" for part in (entry.picture, entry.condition))
        digest = hashlib.blake2b(digest_size=16)
        for piece in (entry.key.encode(), caption.encode(), picture):
            digest.update(len(piece).to_bytes(8, "little") + piece)
        return digest.digest(), hashlib.blake2b(found, digest_size=16).digest()

    def _picture(self, entry: Entry) -> Part:
        if entry.problem is not None:
            raise BadSampleError(entry.key, entry.problem)
        if entry.picture is None:
            raise BadSampleError(entry.key, Problem("picture", "It has no picture."))
        return entry.picture

    def _caption(self, entry: Entry) -> str:
        if entry.problem is not None:
            raise BadSampleError(entry.key, entry.problem)
        text = entry.caption if isinstance(entry.caption, str) else _read_words(entry.key, entry.caption)
        text = " ".join(text.split())
        if not text:
            raise BadSampleError(entry.key, Problem("caption", "Its caption is empty."))
        return text


def _read_words(key: str, words: Words) -> str:
    try:
        with words.part.open() as file:
            text = file.read().decode("utf-8-sig")
        if words.field is None:
            return text
        content = json.loads(text)
    except OSError as error:
        raise BadSampleError(
            key, Problem("caption", f"Its caption cannot be opened ({error.strerror or error}).")
        ) from error
    except ValueError as error:
        what = "UTF-8 text" if isinstance(error, UnicodeDecodeError) else "JSON"
        raise BadSampleError(key, Problem("caption", f"Its caption is no {what} ({error}).")) from error
    found = content.get(words.field) if isinstance(content, dict) else None
    if not isinstance(found, str):
        problem = Problem("caption", f"Its JSON has no text under {words.field!r} (data.caption_column).")
        raise BadSampleError(key, problem)
    return found
