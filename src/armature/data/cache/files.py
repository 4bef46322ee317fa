"""Atomic writing as the data room needs it: what is said when a file cannot be written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from armature import files
from armature.errors import DatasetError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """`files.replacing` for a cache: makes the folder, and raises DatasetError, which names the file, when the disk
    is full or refuses.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with files.replacing(path) as temporary:
            yield temporary
    except (OSError, SafetensorError) as error:
        raise DatasetError(
            f"{path} cannot be written ({error}). Nothing half-written counts as done: make room or choose another "
            "cache.folder, and start again; it goes on with what is missing."
        ) from error


def write_text(path: Path, text: str) -> None:
    """Write a text file whole; see `replacing`."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
