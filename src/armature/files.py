"""Writing that is whole or not at all, digests of files, and how a local path is named in records."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4

from armature.errors import ArmatureError

# Letters of an overlong path that a message shows.
_SHOWN = 80

# A temporary file that is being written is younger than this, wherever its process runs.
_ABANDONED_SECONDS = 3600


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary name beside `path` to write to, synced and renamed at the end: a reader, or a crash, sees the old
    file or the whole new one. The folder must exist. Raises OSError when the disk is full or refuses.
    """
    temporary = _beside(path)
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


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """The same for a folder: an empty one to fill, synced and renamed at the end. Missing parents are made.

    A folder of that name is replaced; a crash leaves the old one, or none, never a part of the new one, and hidden
    folders named ".NAME.*" that whoever owns the place may remove. Raises OSError when the disk is full or refuses.
    """
    temporary, old = _beside(path), _beside(path)
    try:
        temporary.mkdir(parents=True)
        yield temporary
        for part in (*temporary.rglob("*"), temporary):
            _sync(part)
        if path.exists():
            path.rename(old)
        temporary.rename(path)
        _sync(path.parent)
    finally:
        for part in (temporary, old):
            shutil.rmtree(part, ignore_errors=True)


def sweep(folder: Path) -> None:
    """Remove the temporary files that killed processes left in a folder; those still being written stay."""
    for path in folder.glob(".*.tmp"):
        with suppress(OSError):
            if _abandoned(path):
                path.unlink()


def text_name(name: str) -> str:
    """A name as text: bytes of a file's name that are none are replaced, since records and reports hold text."""
    return name.encode("utf-8", "replace").decode()


class Digest:
    """BLAKE2b of values in their order: the same on every machine, for names and stable random numbers.

    Each value counts with its length, so that ("ab", "c") and ("a", "bc") differ. Texts and whole numbers count as
    their UTF-8 text, everything else as its bytes.
    """

    def __init__(self, *values: str | int | bytes | memoryview) -> None:
        self._state = hashlib.blake2b(digest_size=16)
        self.add(*values)

    def add(self, *values: str | int | bytes | memoryview) -> None:
        """Go on with more values."""
        for value in values:
            data = memoryview(str(value).encode() if isinstance(value, str | int) else value)
            self._state.update(data.nbytes.to_bytes(8, "little"))
            self._state.update(data)

    @property
    def bytes(self) -> bytes:
        """16 bytes."""
        return self._state.digest()

    @property
    def hex(self) -> str:
        """32 hexadecimal digits."""
        return self._state.hexdigest()

    @property
    def number(self) -> int:
        """A whole number of 128 bits."""
        return int.from_bytes(self._state.digest(), "little")


def file_digest(path: Path) -> str:
    """BLAKE2b of a file's bytes, 32 hexadecimal digits. Raises OSError when it cannot be read."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def local_path(source: str | os.PathLike[str], error: type[ArmatureError]) -> Path:
    """The path that a user wrote, a leading ~ made a home.

    Raises `error`, whichever the caller's room has, for the home of an unknown user, and for a path that no file system
    can look for: one that is too long, goes in circles, or holds letters that no name has.
    """
    text = os.path.expanduser(os.fspath(source))
    try:
        os.stat(text)
    except FileNotFoundError as reason:
        if text.startswith("~"):
            raise error(f"{text!r} is in the home of a user who is not there; write the path.") from reason
    except (OSError, ValueError) as reason:
        if isinstance(reason, ValueError) or reason.errno in (errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL):
            shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
            why = getattr(reason, "strerror", None) or str(reason)
            raise error(f"{shown!r} cannot be looked for ({why}); check the path.") from reason
    return Path(text)


def public_name(source: Any) -> str:
    """How a model's source is recorded: hub ids and embedded names whole, local paths by their last part."""
    text = str(source)
    path = os.path.expanduser(text)
    return Path(path).name if os.path.exists(path) or Path(text).is_absolute() else text


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{_machine()}-{os.getpid()}-{uuid4().hex[:16]}.tmp")


def _abandoned(temporary: Path) -> bool:
    """Whether nobody writes it any more: its process of this machine is gone, or it is old."""
    machine, _, rest = temporary.name.removesuffix(".tmp").rpartition(".")[2].partition("-")
    process = rest.partition("-")[0]
    if machine == _machine() and process.isdecimal():
        try:
            os.kill(int(process), 0)
        except ProcessLookupError:
            return True
        except OSError:
            pass  # it lives, and is another user's
    return time.time() - temporary.stat().st_mtime > _ABANDONED_SECONDS


@cache
def _machine() -> str:
    """Where process numbers have the same meaning: this host and, in containers, this name space."""
    try:
        space = os.readlink("/proc/self/ns/pid")
    except OSError:
        space = ""
    return Digest(socket.gethostname(), space).hex[:8]


def _sync(path: Path) -> None:
    """Have the disk hold a file, or the names in a folder."""
    if path.is_dir() and os.name != "posix":  # folders cannot be opened there
        return
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
