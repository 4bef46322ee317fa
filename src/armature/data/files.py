"""Files that appear whole or not at all, and what is said when they cannot."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from safetensors import SafetensorError

from armature import atomic
from armature.errors import DatasetError

# A file that is being written is younger than this; an older one was left behind by a process that was killed.
_ABANDONED_SECONDS = 3600


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """`atomic.replacing` for a cache: makes the folder, and raises DatasetError, which names the file, when the disk
    is full or refuses.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic.replacing(path) as temporary:
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


def file_digest(path: Path) -> str:
    """BLAKE2b of a file's bytes, 32 hexadecimal digits. Raises OSError when it cannot be read."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def sweep(folder: Path) -> None:
    """Remove the temporary files that killed processes left in a folder."""
    for path in folder.glob(".*.tmp"):
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > _ABANDONED_SECONDS:
                path.unlink()
