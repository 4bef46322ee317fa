"""Where a sample's bytes lie, and pictures from them: sizes from headers alone, pixels by the library's one decoder."""

from __future__ import annotations

import errno
import io
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol, cast

import numpy as np
from PIL import Image

from armature.conditions.picture.reading import (
    LIMIT_NAME,
    SMALLEST_SIDE,
    picture_formats,
    pixel_limit,
    read_pixels,
    upright,
)
from armature.errors import ConditionError
from armature.files import Digest
from armature.quiet import without_warnings

_END = 64 * 1024
_ORIENTATION = 0x0112
_SIDEWAYS = (5, 6, 7, 8)


class ByteSource(Protocol):
    """Bytes that are read when they are needed."""

    def open(self) -> BinaryIO:
        """A fresh stream over them, which can seek. Raises OSError when they cannot be read."""
        ...


@dataclass(frozen=True)
class FileBytes:
    """A file, or `length` bytes of it from `offset` on."""

    path: Path
    offset: int = 0
    length: int | None = None

    def open(self) -> BinaryIO:
        """A fresh stream over the bytes. Raises OSError also for a pipe or device, whose end could never come."""
        if not stat.S_ISREG(self.path.stat().st_mode):
            raise OSError(errno.EINVAL, "it is no regular file")
        if self.length is None:
            return open(self.path, "rb")
        return cast(BinaryIO, io.BufferedReader(_Stretch(self.path, self.offset, self.length)))


@dataclass(frozen=True)
class LazyBytes:
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


def ends_digest(source: ByteSource) -> bytes:
    """A digest, 16 bytes, of the size and of the first and last 64 KiB: cheap, and moved by every re-encoding.

    What cannot be read has a digest of its own.
    """
    try:
        with source.open() as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(0)
            digest = Digest(size, file.read(_END))
            if size > _END:
                file.seek(max(_END, size - _END))
                digest.add(file.read(_END))
    except OSError:
        return b"unreadable".ljust(16)
    return digest.bytes


@dataclass(frozen=True, eq=False)
class Upright:
    """A decoded picture: (h, w) or (h, w, 3) uint8, EXIF orientation applied, and notes on what was done to it."""

    pixels: np.ndarray
    notes: tuple[str, ...]


def upright_size(source: ByteSource) -> tuple[int, int]:
    """(width, height) as the picture is looked at, from its header. Raises ConditionError when that is no picture's."""
    with _opened(source) as image:
        width, height = image.size
        with without_warnings():  # about odd metadata
            sideways = _orientation(image) in _SIDEWAYS
    return (height, width) if sideways else (width, height)


def read_upright(source: ByteSource) -> Upright:
    """Decode a picture of any mode, transparent parts laid on a ground, 16 bits brought to 8.

    Raises ConditionError for bytes that are no picture, truncated, animated, too large or too small.
    """
    with _opened(source) as image:
        try:
            with without_warnings():  # about odd metadata, as early as on counting pages
                if _is_plain(image):
                    return _read_plain(image)
                read = read_pixels(image)
        except ConditionError:
            raise
        except Exception as error:  # decoders raise many kinds for broken data
            raise ConditionError(f"The picture is truncated or damaged ({error}).") from error
    whole = np.rint(read.values * np.float32(255)).astype(np.uint8)
    return Upright(whole[..., 0] if whole.shape[-1] == 1 else whole, read.notes)


def _is_plain(image: Image.Image) -> bool:
    """Whether its bytes are the pixels: no palette, transparency, pages or more than 8 bits, which need conversion."""
    return (
        image.mode in ("L", "RGB")
        and min(image.size) >= SMALLEST_SIDE
        and (image.format == "MPO" or getattr(image, "n_frames", 1) == 1)
        and not image.has_transparency_data
        and not any(";16" in str(tile[3]) for tile in getattr(image, "tile", ()))
    )


def _read_plain(image: Image.Image) -> Upright:
    """What `read_pixels` gives, without a float for every byte: most of a photograph's time went there."""
    image.load()
    turned = upright(image)
    return Upright(np.array(turned), () if turned is image else ("Turned upright by its EXIF orientation.",))


def in_colour(pixels: np.ndarray) -> np.ndarray:
    """(h, w, 3) of a picture that may be grey."""
    return np.repeat(pixels[..., None], 3, axis=-1) if pixels.ndim == 2 else pixels


@contextmanager
def _opened(source: ByteSource) -> Iterator[Image.Image]:
    """The picture with its header read and its size known to be bearable."""
    limit = pixel_limit()
    try:
        file = source.open()
    except OSError as error:
        raise ConditionError(f"The picture cannot be opened ({error.strerror or error}).") from error
    with file:
        image = _header(source, file)
        if image.width * image.height > limit:
            raise ConditionError(
                f"The picture is {image.width} x {image.height} px, above the limit of {limit} pixels that guards "
                f"against decompression bombs; shrink it, or raise the limit with {LIMIT_NAME}."
            )
        yield image


def _header(source: ByteSource, file: object) -> Image.Image:
    with without_warnings():  # about odd metadata, and sizes that are checked next
        try:
            return Image.open(file, formats=picture_formats())  # type: ignore[arg-type]
        except Image.DecompressionBombError as error:
            raise ConditionError(f"The picture may be a decompression bomb: {error}") from error
        except Exception as error:  # decoders raise many kinds for foreign bytes
            with source.open() as again:
                empty = not again.read(1)
            reason = "it is empty (0 bytes)" if empty else type(error).__name__
            raise ConditionError(
                f"The picture cannot be read ({reason}); expected PNG, JPEG, WebP, TIFF or BMP."
            ) from error


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation, as far as it changes the size that Pillow tells; never decodes the picture."""
    if image.format == "TIFF":
        return 1  # its size is told upright
    if image.format == "PNG" and "exif" not in image.info:
        return 1  # asking further would decode all of it
    try:
        return image.getexif().get(_ORIENTATION, 1)
    except Exception:  # broken metadata: the pixels decide
        return 1
