"""WebDataset shards on disk: .tar files whose members share a name and differ in their ending."""

from __future__ import annotations

import os
import re
import tarfile
from collections.abc import Mapping
from glob import glob
from pathlib import Path

from armature.data.settings import DataSettings
from armature.data.sources.listed import PICTURE_ENDINGS, CaptionBytes, Entry, ListedSource, NoCaption
from armature.data.sources.reading import FileBytes
from armature.data.sources.source import Problem, SourceFormat, library
from armature.errors import DatasetError
from armature.files import local_path

_REMOTE = re.compile(r"^(pipe:|[a-z][a-z0-9+.-]*://)", re.IGNORECASE)
_PLAIN_TEXT = ("txt", "caption")


def open_webdataset(settings: DataSettings, kind: str) -> ListedSource:
    """The samples of local .tar shards, indexed by their headers, so that every sample can be read by its number.

    `data.source`: a shard, a folder of shards, a glob, braces ("data-{000..012}.tar"), or several with "::" between.
    `data.image_column`: the ending of the picture, when there are several; "image" takes the only one.
    `data.caption_column`: the field of .json captions; .txt and .caption come first. `data.conditions`: the ending of
    the map, such as "canny.png" or "canny". Keys are the shard's path and the sample's name in it. Raises DatasetError
    for remote shards, a pattern without shards, and files that are no plain tar.
    """
    pattern = settings.source
    if _is_remote(pattern):
        raise DatasetError(
            f"data.source = {pattern!r} is not on this machine; download the shards first and give their path. "
            "Samples are read by number, in another order at every epoch, which a stream cannot give."
        )
    shards = _shards(pattern)
    common = Path(os.path.commonpath([shard.parent for shard in shards]))
    entries: list[Entry] = []
    for shard in shards:
        entries += _entries(shard, shard.relative_to(common).as_posix(), settings)
    return ListedSource(
        f"{len(shards)} WebDataset shard{'s' if len(shards) > 1 else ''}",
        entries,
        maps=settings.conditions is not None,
        caption=settings.default_caption,
    )


def _is_remote(pattern: str) -> bool:
    """Whether any shard of the pattern is at an address or comes from a command."""
    return any(_REMOTE.match(part) for part in pattern.split("::"))


def _shards(pattern: str) -> list[Path]:
    """The shard files of a pattern, absolute, each once, in order of their paths."""
    parts = pattern.split("::")
    if "{" in pattern:
        expand = library("braceexpand", "A shard pattern with braces").braceexpand
        parts = [name for part in parts for name in expand(part)]
    shards: list[Path] = []
    for part in parts:
        path = local_path(part, DatasetError)
        if path.is_dir():
            shards += sorted(file for file in path.glob("*.tar") if file.is_file())
        elif path.is_file():
            shards.append(path)
        elif any(mark in part for mark in "*?["):
            shards += [Path(name) for name in sorted(glob(str(path))) if Path(name).is_file()]
        else:
            raise DatasetError(f"data.source: there is no shard {part!r}.")
    if not shards:
        raise DatasetError(f"data.source: no .tar shards match {pattern!r}.")
    return sorted({path.resolve() for path in shards})


def _entries(shard: Path, where: str, settings: DataSettings) -> list[Entry]:
    samples: dict[str, dict[str, FileBytes]] = {}
    doubled: dict[str, str] = {}
    cut, at = None, 0
    try:
        with tarfile.open(shard, "r:") as archive:
            try:
                for member in archive:
                    if member.offset_data <= at or member.size < 0:
                        raise tarfile.ReadError("its members do not follow each other")
                    at = member.offset_data
                    name, ending = _split(member.name)
                    if not member.isreg() or not name or not ending:
                        continue
                    parts = samples.setdefault(name, {})
                    if ending in parts:
                        doubled[name] = ending
                    parts[ending] = FileBytes(shard, member.offset_data, member.size)
                if _goes_on(shard, archive.offset):
                    cut = "a member's header is none"
            except Exception as error:  # odd headers fail in many ways of tarfile
                cut = str(error)
    except Exception as error:
        raise DatasetError(
            f"{str(shard)!r} cannot be read as a tar file ({error}); expected a plain .tar (unpack .tar.gz to .tar)."
        ) from error
    entries = []
    for name, parts in samples.items():
        key = f"{where}/{name}"
        if name in doubled:
            reason = f"Its shard has two members {name}.{doubled[name]}."
            entries.append(Entry(key, problem=Problem("picture", reason)))
        else:
            entries.append(_entry(key, parts, settings))
    if cut is not None:
        reason = f"The shard is cut off or damaged ({cut}); what follows is lost."
        entries.append(Entry(f"{where} (end)", problem=Problem("picture", reason)))
    return entries


def _goes_on(shard: Path, offset: int) -> bool:
    """Whether there is more than the zeros of its end: tarfile takes a damaged header for an end, without a word."""
    with shard.open("rb") as file:
        file.seek(offset)
        return any(file.read(tarfile.BLOCKSIZE))


def _split(member: str) -> tuple[str, str]:
    """A member's sample and ending: "a/0001.canny.png" is "a/0001" and "canny.png", as the format says."""
    folder, slash, file = member.removeprefix("./").rpartition("/")
    name, _, ending = file.partition(".")
    return (f"{folder}{slash}{name}", ending.lower()) if name else ("", "")


def _entry(key: str, parts: Mapping[str, FileBytes], settings: DataSettings) -> Entry:
    wanted = settings.conditions
    condition = None if wanted is None else _condition(parts, wanted.lower().lstrip("."))
    if isinstance(condition, Problem):
        return Entry(key, problem=condition)
    rest = {ending: part for ending, part in parts.items() if part is not condition}
    picture = _picture(rest, settings.image_column.lower().lstrip("."))
    if isinstance(picture, Problem):
        return Entry(key, problem=picture)
    plain = next((ending for ending in _PLAIN_TEXT if ending in parts), None)
    if plain is not None:
        return Entry(key, picture, CaptionBytes(parts[plain]), condition)
    if "json" in parts:
        return Entry(key, picture, CaptionBytes(parts["json"], settings.caption_column), condition)
    return Entry(key, picture, NoCaption("It has no caption; expected a member .txt, .caption or .json."), condition)


def _condition(parts: Mapping[str, FileBytes], wanted: str) -> FileBytes | Problem:
    """The map: the member with exactly this ending, or with a picture ending after it."""
    fitting = [ending for ending in parts if ending == wanted or _is_picture(ending, wanted)]
    if len(fitting) == 1:
        return parts[fitting[0]]
    if fitting:
        return Problem("condition", f"It has {len(fitting)} maps ({', '.join(fitting)}); name one in data.conditions.")
    return Problem("condition", f"It has no map .{wanted}; its members: {', '.join(sorted(parts))}.")


def _picture(parts: Mapping[str, FileBytes], wanted: str) -> FileBytes | Problem:
    fitting = [ending for ending in parts if ending == wanted or _is_picture(ending, wanted)]
    # Plain endings come first: 0001.jpg is the picture even where 0001.depth.png lies beside it.
    fitting = fitting or [ending for ending in parts if ending in PICTURE_ENDINGS]
    if len(fitting) == 1:
        return parts[fitting[0]]
    if fitting:
        names = ", ".join(fitting)
        return Problem("picture", f"It has {len(fitting)} pictures ({names}); name one in data.image_column.")
    return Problem("picture", f"It has no picture; its members: {', '.join(sorted(parts))}.")


def _is_picture(ending: str, wanted: str) -> bool:
    head, _, tail = ending.rpartition(".")
    return head == wanted and tail in PICTURE_ENDINGS


def _fits(source: str) -> float:
    path = local_path(source, DatasetError)
    if path.is_dir():
        return 0.4 if next(path.glob("*.tar"), None) is not None else 0
    named = source.endswith(".tar") or any(mark in source for mark in "{*?") or "::" in source
    return 0.7 if named or _is_remote(source) else 0


FORMAT = SourceFormat(_fits, open_webdataset)
