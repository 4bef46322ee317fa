"""Where a sample's bytes lie: a file, a stretch of a shard, a cell of a table; and their digest."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol, cast

_END = 64 * 1024


class Part(Protocol):
    """Bytes that are read when they are needed."""

    def open(self) -> BinaryIO:
        """A fresh stream over them, which can seek. Raises OSError when they cannot be read."""
        ...


@dataclass(frozen=True)
class FilePart:
    """A file, or `length` bytes of it from `offset` on."""

    path: Path
    offset: int = 0
    length: int | None = None

    def open(self) -> BinaryIO:
        """A fresh stream over the bytes."""
        if self.length is None:
            return open(self.path, "rb")
        return cast(BinaryIO, io.BufferedReader(_Stretch(self.path, self.offset, self.length)))


@dataclass(frozen=True)
class LazyPart:
    """Bytes that a call gives."""

    get: Callable[[], bytes]

    def open(self) -> BinaryIO:
        """A fresh stream over the bytes."""
        return io.BytesIO(self.get())


class _Stretch(io.RawIOBase):
    """A part of a file as a stream of its own, so that a header can be read without the rest."""

    def __init__(self, path: Path, offset: int, length: int) -> None:
        self._file = open(path, "rb", buffering=0)  # noqa: SIM115 (closed in close)
        self._offset, self._length, self._at = offset, length, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._length}[whence]
        self._at = max(0, start + offset)
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        wanted = max(0, min(len(buffer), self._length - self._at))
        self._file.seek(self._offset + self._at)
        data = self._file.read(wanted)
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)

    def close(self) -> None:
        self._file.close()
        super().close()


def ends_digest(part: Part) -> bytes:
    """A digest of a part's size and of its first and last 64 KiB: cheap, and moved by every re-encoding.

    A part that cannot be read has a digest of its own.
    """
    digest = hashlib.blake2b(digest_size=16)
    try:
        with part.open() as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(0)
            digest.update(size.to_bytes(8, "little") + file.read(_END))
            if size > _END:
                file.seek(max(_END, size - _END))
                digest.update(file.read(_END))
    except OSError:
        return b"unreadable".ljust(16)
    return digest.digest()
