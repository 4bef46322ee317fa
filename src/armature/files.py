"""Writing that is whole or not at all, digests of files, and how a local path is named in records."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

# A temporary file that is being written is younger than this; an older one was left behind by a killed process.
_ABANDONED_SECONDS = 3600


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary name beside `path` to write to, synced and renamed at the end: a reader, or a crash, sees the old
    file or the whole new one. The folder must exist. Raises OSError when the disk is full or refuses.
    """
    temporary = path.with_name(f".{path.name}.{uuid4().hex}.tmp")
    try:
        temporary.touch(exist_ok=False)
        # safetensors makes its files private; ours are to be as open as any file that the user makes.
        mode = temporary.stat().st_mode
        yield temporary
        temporary.chmod(mode)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


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


def public_name(source: Any) -> str:
    """How a model's source is recorded: hub ids and embedded names whole, local paths by their last part."""
    text = str(source)
    return Path(text).expanduser().name if Path(text).expanduser().exists() or Path(text).is_absolute() else text
