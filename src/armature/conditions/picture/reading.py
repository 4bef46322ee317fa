"""Reading pictures: one door for paths, PIL, NumPy and tensors, one clear error for what cannot be read."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from armature.conditions.picture.arrays import array_to_hwc, float_range_message, is_tensor, sixteen_bit_notes
from armature.errors import ConditionError
from armature.files import local_path
from armature.quiet import without_warnings

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

LIMIT_NAME = "ARMATURE_MAX_PIXELS"
DEFAULT_LIMIT = 64_000_000
SMALLEST_SIDE = 8
# What a file may be, by its content: other decoders of Pillow start programs (EPS), or take any bytes for a picture.
_FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF", "PPM", "AVIF", "JPEG2000")
_PILLOW_LIMIT = threading.Lock()
_ORIENTATION = 0x0112


@dataclass(frozen=True)
class Pixels:
    """A picture as numbers.

    values: float32 (height, width, channels) in 0..1; 1 channel (brightness) or 3 (red, green, blue).
    notes: what was done to the picture on the way, in sentences for its user.
    """

    values: np.ndarray
    notes: tuple[str, ...] = ()


def read_picture(source: Any) -> Image.Image:
    """The picture behind a path, PIL picture, NumPy array or tensor, in PIL mode "L" or "RGB".

    Raises ConditionError as `read_pixels` does.
    """
    return to_picture(read_pixels(source).values)


def to_picture(values: np.ndarray) -> Image.Image:
    """Float values (height, width, 1 or 3) in 0..1 as an 8-bit PIL picture of mode "L" or "RGB"."""
    import numpy as np
    from PIL import Image

    whole = np.rint(values * np.float32(255)).astype(np.uint8)
    return Image.fromarray(whole[..., 0] if whole.shape[-1] == 1 else whole)


def read_pixels(source: Any) -> Pixels:
    """The numbers behind a path, PIL picture, NumPy array or tensor, at the source's full precision.

    Transparent parts are laid on white (on black when what shows is white), EXIF orientation is applied.
    Raises ConditionError for a source that is missing, empty, unreadable, truncated, animated, smaller than 8 pixels,
    larger than the pixel limit (64 million; the environment variable ARMATURE_MAX_PIXELS changes it), outside
    0..1 as floats, or of unclear layout.
    """
    from PIL import Image

    if isinstance(source, (str, os.PathLike)):
        with open_picture(source) as image:
            pixels = picture_values(image, repr(str(source)))
    elif isinstance(source, Image.Image):
        pixels = picture_values(source, "The picture")
    elif is_tensor(source) or hasattr(source, "__array__"):
        pixels = _on_background(*array_to_hwc(source))
    else:
        raise ConditionError(
            f"A {type(source).__name__} is not a picture; expected a path, a PIL picture, a NumPy array or a tensor."
        )
    height, width = pixels.values.shape[:2]
    if min(height, width) < SMALLEST_SIDE:
        raise ConditionError(
            f"The picture is {width} x {height} px; expected at least {SMALLEST_SIDE} px on each side."
        )
    return pixels


def pixel_limit() -> int:
    """The number of pixels above which pictures are refused: ARMATURE_MAX_PIXELS, or 64 million."""
    text = os.environ.get(LIMIT_NAME)
    if text is None:
        return DEFAULT_LIMIT
    if not text.isdigit() or int(text) == 0:
        raise ConditionError(f"{LIMIT_NAME} is {text!r}; expected a whole number of pixels above 0.")
    return int(text)


def open_picture(source: str | os.PathLike[str]) -> Image.Image:
    """The file's header as a PIL picture whose size is known to be bearable; raises ConditionError otherwise."""
    from PIL import Image

    if str(source).startswith(("http:/", "https:/")):
        raise ConditionError(f"{str(source)!r} is a web address; download the picture and give its path.")
    path = local_path(source, ConditionError)
    if not path.exists():
        raise ConditionError(f"No picture at {str(path)!r}.")
    if path.is_dir():
        raise ConditionError(f"{str(path)!r} is a folder; expected one picture.")
    if not path.is_file():
        raise ConditionError(f"{str(path)!r} is no regular file, and its end might never come; give a picture's path.")
    if path.stat().st_size == 0:
        raise ConditionError(f"{str(path)!r} is empty (0 bytes).")
    limit = pixel_limit()
    with _PILLOW_LIMIT, without_warnings():  # about odd metadata; the pixels decide below
        pillow_limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None  # our own limit is checked next
        try:
            image = Image.open(path, formats=picture_formats())
        except Exception as error:  # decoders raise many kinds for foreign bytes
            raise ConditionError(_unreadable(path, error)) from error
        finally:
            Image.MAX_IMAGE_PIXELS = pillow_limit
    if image.width * image.height > limit:
        size = f"{image.width} x {image.height}"
        image.close()
        raise ConditionError(
            f"{str(path)!r} is {size} px, above the limit of {limit} pixels that guards against decompression bombs; "
            f"shrink it, or raise the limit with {LIMIT_NAME}."
        )
    return image


@cache
def picture_formats() -> tuple[str, ...]:
    """Pillow's names of the formats that are read, as far as this Pillow has them."""
    from PIL import Image

    Image.init()
    return tuple(name for name in _FORMATS if name in Image.OPEN)


def _unreadable(path: Path, error: Exception) -> str:
    if path.suffix.lower() in (".exr", ".hdr"):
        return f"{str(path)!r} is a high-dynamic-range file; tone-map it to a PNG first."
    return f"{str(path)!r} cannot be read as a picture ({type(error).__name__}); expected PNG, JPEG, WebP, TIFF or BMP."


def picture_values(image: Image.Image, name: str) -> Pixels:
    """Decode a PIL picture of any mode; `name` begins the error messages. Raises ConditionError for a damaged one."""
    try:
        with without_warnings():  # about odd metadata, as early as on counting pages
            return _decoded(image, name)
    except (ConditionError, MemoryError):
        raise
    except Exception as error:  # decoders raise many kinds for broken data
        raise ConditionError(f"{name} is truncated or damaged ({error}).") from error


def _decoded(image: Image.Image, name: str) -> Pixels:
    frames = getattr(image, "n_frames", 1)
    if frames > 1 and image.format != "MPO":  # MPO: phones store a preview or a second eye behind the photo
        raise ConditionError(f"{name} is animated or has pages ({frames} frames); save the one you mean as PNG.")
    if min(image.size) == 0:
        raise ConditionError(f"{name} is empty: {image.width} x {image.height} px.")
    notes: list[str] = []
    if any(";16" in str(tile[3]) for tile in getattr(image, "tile", ()) if image.mode in ("RGB", "RGBA")):
        notes.append("16 bits a channel were read as 8.")
    image.load()
    turned = upright(image)
    if turned is not image:
        notes.append("Turned upright by its EXIF orientation.")
    values, more = _decode(turned, name)
    return _on_background(values, (*notes, *more))


def upright(image: Image.Image) -> Image.Image:
    """The picture as it is looked at: turned where its EXIF orientation says so, else the very same object.

    Broken metadata say nothing: the pixels decide.
    """
    from PIL.Image import Transpose

    turns = {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }
    try:
        turn = turns.get(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # whatever parsing foreign bytes, and the texts in them, may raise
        return image
    return image if turn is None else image.transpose(turn)


def _decode(image: Image.Image, name: str) -> tuple[np.ndarray, tuple[str, ...]]:
    """Float32 (height, width, 1, 3 or 4) in 0..1 from any PIL mode, with notes."""
    import numpy as np

    mode = image.mode
    if mode in ("F", "I") or mode.startswith("I;"):
        array = np.asarray(image).astype(np.float32)
        low, high = float(array.min()), float(array.max())
        if mode == "F":
            if not np.isfinite(array).all() or low < 0 or high > 1:
                raise ConditionError(f"{name}: {float_range_message(low, high)}")
            return array[..., None], ()
        if low < 0 or high > 65535:
            raise ConditionError(f"{name} holds whole numbers from {low:.0f} to {high:.0f}; expected 0..65535.")
        return array[..., None] / np.float32(65535), sixteen_bit_notes(int(high))
    notes = () if mode != "CMYK" else ("CMYK was converted to RGB without its colour profile; colours may differ.",)
    if mode not in ("L", "RGB", "RGBA"):
        if mode == "1":
            image = image.convert("L")
        else:
            image = image.convert(
                "RGBA" if mode in ("LA", "PA", "La", "RGBa") or image.has_transparency_data else "RGB"
            )
    array = np.asarray(image).astype(np.float32) / np.float32(255)
    return (array[..., None] if array.ndim == 2 else array), notes


def _on_background(values: np.ndarray, notes: tuple[str, ...]) -> Pixels:
    """Lay a picture with an alpha channel on white, or on black when what shows is itself white."""
    if values.shape[-1] != 4:
        return Pixels(values, notes)
    colour, alpha = values[..., :3], values[..., 3:]
    if alpha.min() >= 1:
        return Pixels(colour.copy(), notes)
    shown = colour[alpha[..., 0] > 0.5].min(axis=-1)
    ground = 0.0 if shown.size and (shown > 0.9).mean() > 0.9 else 1.0
    told = f"Transparent parts were laid on {'white' if ground else 'black'}."
    return Pixels(colour * alpha + ground * (1 - alpha), (*notes, told))
