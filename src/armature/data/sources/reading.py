"""Pictures from bytes: sizes from their headers alone, and pixels through the library's one door for pictures."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageOps

from armature.conditions.picture.reading import LIMIT_NAME, SMALLEST_SIDE, pixel_limit, read_pixels
from armature.data.sources.byte_source import Part
from armature.errors import ConditionError

_ORIENTATION = 0x0112
_SIDEWAYS = (5, 6, 7, 8)
# Warning filters are shared by all threads.
_FILTERS = threading.Lock()


@dataclass(frozen=True, eq=False)
class Upright:
    """A decoded picture: (h, w) or (h, w, 3) uint8, EXIF orientation applied, and notes on what was done to it."""

    pixels: np.ndarray
    notes: tuple[str, ...]


def upright_size(part: Part) -> tuple[int, int]:
    """(width, height) as the picture is looked at, from its header. Raises ConditionError when that is no picture's."""
    with _opened(part) as image:
        width, height = image.size
        with _FILTERS, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about odd metadata
            sideways = _orientation(image) in _SIDEWAYS
    return (height, width) if sideways else (width, height)


def read_upright(part: Part) -> Upright:
    """Decode a picture of any mode, transparent parts laid on a ground, 16 bits brought to 8.

    Raises ConditionError for bytes that are no picture, truncated, animated, too large or too small.
    """
    with _opened(part) as image:
        if _is_plain(image):
            return _read_plain(image)
        read = read_pixels(image)
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
    try:
        image.load()
    except Exception as error:  # decoders raise many kinds for broken data
        raise ConditionError(f"The picture is truncated or damaged ({error}).") from error
    before = image.size
    with _FILTERS, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about odd metadata
        turned = image.getexif().get(_ORIENTATION, 1) != 1
        ImageOps.exif_transpose(image, in_place=True)
    turned = turned or image.size != before
    return Upright(np.array(image), ("Turned upright by its EXIF orientation.",) if turned else ())


def in_colour(pixels: np.ndarray) -> np.ndarray:
    """(h, w, 3) of a picture that may be grey."""
    return np.repeat(pixels[..., None], 3, axis=-1) if pixels.ndim == 2 else pixels


@contextmanager
def _opened(part: Part) -> Iterator[Image.Image]:
    """The picture with its header read and its size known to be bearable."""
    limit = pixel_limit()
    try:
        file = part.open()
    except OSError as error:
        raise ConditionError(f"The picture cannot be opened ({error.strerror or error}).") from error
    with file:
        image = _header(part, file)
        if image.width * image.height > limit:
            raise ConditionError(
                f"The picture is {image.width} x {image.height} px, above the limit of {limit} pixels that guards "
                f"against decompression bombs; shrink it, or raise the limit with {LIMIT_NAME}."
            )
        yield image


def _header(part: Part, file: object) -> Image.Image:
    with _FILTERS, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about odd metadata, and sizes that are checked next
        try:
            return Image.open(file)  # type: ignore[arg-type]
        except Image.DecompressionBombError as error:
            raise ConditionError(f"The picture may be a decompression bomb: {error}") from error
        except Exception as error:  # decoders raise many kinds for foreign bytes
            with part.open() as again:
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
