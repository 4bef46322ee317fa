"""Bringing a picture or map to a target size: the one place where sizes change.

A `shape` is (height, width), as arrays have it; a `size` is (width, height), as people say it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

from armature.errors import ConditionError

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

Fit = Literal["resize", "crop", "pad", "stretch"]
# What pixels mean: a tone of a picture, the label of a thing, or a line of one tone.
Content = Literal["picture", "label", "line"]

_WORDS = {
    "resize": "scaled to cover and cut at the edges",
    "crop": "cut from the middle",
    "pad": "scaled to fit inside and padded",
    "stretch": "stretched",
}


def fit_values(
    values: np.ndarray, shape: tuple[int, int], fit: Fit = "stretch", *, content: Content = "picture", fill: float = 0.0
) -> np.ndarray:
    """Values (H, W, C), float32 in 0..1 or uint8, brought to `shape` (height, width); their type stays.

    fit: "resize" keeps the proportions, covers the target and cuts what hangs over; "crop" cuts the middle at the
        picture's own scale (enlarging first where it is too small); "pad" keeps the proportions, fits inside and fills
        the rest with `fill`; "stretch" ignores the proportions.
    content: see `resize`.
    Raises ConditionError for an unknown fit or a shape below 1.
    """
    if fit not in get_args(Fit):
        raise ConditionError(f"Unknown fit {fit!r}; expected one of {', '.join(get_args(Fit))}.")
    target_h, target_w = shape
    if target_h < 1 or target_w < 1:
        raise ConditionError(f"Target size is {target_w} x {target_h} px; both must be at least 1.")
    height, width = values.shape[:2]
    if fit == "stretch" or (height, width) == (target_h, target_w):
        return resize(values, shape, content)
    ratios = (target_h / height, target_w / width)
    factor = min(ratios) if fit == "pad" else max(ratios)
    if fit == "crop":
        factor = max(factor, 1.0)
    # Rounding must never leave a covering picture one pixel short.
    inner = (max(1, round(height * factor)), max(1, round(width * factor)))
    if fit != "pad":
        inner = (max(inner[0], target_h), max(inner[1], target_w))
    return _centre(resize(values, inner, content), shape, fill)


def resize(values: np.ndarray, shape: tuple[int, int], content: Content) -> np.ndarray:
    """Values (H, W) or (H, W, C), float32 in 0..1 or uint8, stretched to `shape` (height, width); their type stays.

    content: "picture" is averaged when shrunk and interpolated when enlarged; "label" takes the nearest pixel, so that
    no colour appears that was not there; "line" takes the nearest too, thickened first when shrunk, so that a line one
    pixel wide survives. Training and use both come here: what an adapter learned from is what it is given.
    """
    import cv2
    import numpy as np

    if values.shape[:2] == tuple(shape):
        return values
    if values.ndim == 3 and values.shape[-1] > 4:  # OpenCV resizes up to four channels at a time
        parts = [resize(values[..., i : i + 1], shape, content) for i in range(values.shape[-1])]
        return np.concatenate(parts, axis=-1)
    (height, width), channels = values.shape[:2], values.shape[2:]
    target_h, target_w = shape
    if content == "picture":
        scaled = _smooth(values, shape)
    else:
        if content == "line":
            reach = (max(1, round(height / target_h)), max(1, round(width / target_w)))
            if max(reach) > 1:
                values = cv2.dilate(values, np.ones(reach, np.uint8))
        # Exact nearest samples pixel centres; plain INTER_NEAREST shifts by up to half a pixel.
        scaled = cv2.resize(values, (target_w, target_h), interpolation=cv2.INTER_NEAREST_EXACT)
    return scaled.reshape(target_h, target_w, *channels)  # OpenCV drops the axis of a single channel


def _smooth(values: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Each side averaged where it shrinks, interpolated where it grows."""
    import cv2
    import numpy as np

    smaller = (min(values.shape[0], shape[0]), min(values.shape[1], shape[1]))
    if smaller == tuple(shape) and values.dtype == np.uint8:  # no float for every byte of a photograph
        return cv2.resize(values, smaller[::-1], interpolation=cv2.INTER_AREA)
    if values.dtype == np.uint8:
        floats = _smooth(values.astype(np.float32) / np.float32(255), shape)
        return np.rint(floats * np.float32(255)).astype(np.uint8)
    scaled = cv2.resize(values, smaller[::-1], interpolation=cv2.INTER_AREA)
    if smaller != tuple(shape):
        scaled = cv2.resize(scaled, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC)
    return np.clip(scaled, 0.0, 1.0)


def fit_picture(
    picture: Image.Image,
    size: tuple[int, int],
    fit: Fit = "stretch",
    *,
    content: Content = "picture",
    fill: float = 0.0,
) -> Image.Image:
    """`fit_values` for a PIL picture of mode "L" or "RGB"; size is (width, height)."""
    import numpy as np

    from armature.conditions.picture.reading import to_picture

    values = np.asarray(picture, dtype=np.float32) / np.float32(255)
    values = values.reshape(*values.shape[:2], -1)
    return to_picture(fit_values(values, (size[1], size[0]), fit, content=content, fill=fill))


def fit_word(fit: Fit) -> str:
    """What a fit does, as a sentence's participle: "scaled to fit inside and padded"."""
    return _WORDS[fit]


def fit_note(old: tuple[int, int], new: tuple[int, int], fit: Fit) -> str | None:
    """A sentence on what fitting a shape (height, width) `old` to `new` does, or None when nothing changes."""
    if tuple(old) == tuple(new):
        return None
    how = _WORDS[fit]
    if old[0] * new[1] == old[1] * new[0] and fit != "crop":
        how = "scaled"
    return f"{how.capitalize()} from {old[1]} x {old[0]} to {new[1]} x {new[0]} px."


def _centre(values: np.ndarray, shape: tuple[int, int], fill: float) -> np.ndarray:
    """Cut or pad (H, W, C) around its middle to (height, width)."""
    import numpy as np

    height, width = values.shape[:2]
    top, left = (height - shape[0]) // 2, (width - shape[1]) // 2
    cut = values[max(top, 0) : max(top, 0) + shape[0], max(left, 0) : max(left, 0) + shape[1]]
    if cut.shape[:2] == shape:
        return cut
    canvas = np.full((*shape, values.shape[-1]), fill, dtype=values.dtype)
    y, x = max(-top, 0), max(-left, 0)
    canvas[y : y + cut.shape[0], x : x + cut.shape[1]] = cut
    return canvas
