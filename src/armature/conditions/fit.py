"""Bringing a picture or map to a target size: the one place where sizes change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

from armature.errors import ConditionError

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

Fit = Literal["resize", "crop", "pad", "stretch"]
Content = Literal["picture", "labels", "lines"]

_WORDS = {
    "resize": "scaled to cover and cut at the edges",
    "crop": "cut from the middle",
    "pad": "scaled to fit inside and padded",
    "stretch": "stretched",
}


def fit_values(
    values: np.ndarray, size: tuple[int, int], fit: Fit = "stretch", *, content: Content = "picture", fill: float = 0.0
) -> np.ndarray:
    """Float values (H, W, C) in 0..1 brought to `size` (height, width).

    fit: "resize" keeps the proportions, covers the target and cuts what hangs over; "crop" cuts the middle at the
        picture's own scale (enlarging first where it is too small); "pad" keeps the proportions, fits inside and fills
        the rest with `fill`; "stretch" ignores the proportions.
    content: "picture" is averaged when shrunk and interpolated when enlarged; "labels" take the nearest pixel, so that
        no colour appears that was not there; "lines" take the nearest too, thickened first when shrunk, so that a line
        one pixel wide survives.
    Raises ConditionError for an unknown fit or a size below 1.
    """
    if fit not in get_args(Fit):
        raise ConditionError(f"Unknown fit {fit!r}; expected one of {', '.join(get_args(Fit))}.")
    target_h, target_w = size
    if target_h < 1 or target_w < 1:
        raise ConditionError(f"Target size (height, width) is {size}; both must be at least 1.")
    height, width = values.shape[:2]
    if (height, width) == (target_h, target_w):
        return values
    if fit == "stretch":
        return _scale(values, size, content)
    ratios = (target_h / height, target_w / width)
    factor = min(ratios) if fit == "pad" else max(ratios)
    if fit == "crop":
        factor = max(factor, 1.0)
    # Rounding must never leave a covering picture one pixel short.
    inner = (max(1, round(height * factor)), max(1, round(width * factor)))
    if fit != "pad":
        inner = (max(inner[0], target_h), max(inner[1], target_w))
    return _centre(_scale(values, inner, content), size, fill)


def fit_picture(
    picture: Image.Image,
    size: tuple[int, int],
    fit: Fit = "stretch",
    *,
    content: Content = "picture",
    fill: float = 0.0,
) -> Image.Image:
    """`fit_values` for a PIL picture of mode "L" or "RGB"; size is (height, width)."""
    import numpy as np

    from armature.conditions.picture import to_picture

    values = np.asarray(picture, dtype=np.float32) / np.float32(255)
    return to_picture(fit_values(values.reshape(*values.shape[:2], -1), size, fit, content=content, fill=fill))


def fit_note(old: tuple[int, int], new: tuple[int, int], fit: Fit) -> str | None:
    """A sentence on what fitting (height, width) `old` to `new` does, or None when nothing changes."""
    if tuple(old) == tuple(new):
        return None
    how = _WORDS[fit]
    if old[0] * new[1] == old[1] * new[0] and fit != "crop":
        how = "scaled"
    return f"{how.capitalize()} from {old[1]} x {old[0]} to {new[1]} x {new[0]} px."


def _scale(values: np.ndarray, size: tuple[int, int], content: Content) -> np.ndarray:
    import cv2
    import numpy as np

    height, width = values.shape[:2]
    target_h, target_w = size
    if (height, width) == size:
        return values
    if values.shape[-1] > 4:  # OpenCV resizes up to four channels at a time
        parts = [_scale(values[..., i : i + 1], size, content) for i in range(values.shape[-1])]
        return np.concatenate(parts, axis=-1)
    if content == "picture":
        smaller = (min(height, target_h), min(width, target_w))
        scaled = cv2.resize(values, smaller[::-1], interpolation=cv2.INTER_AREA)
        if smaller != size:
            scaled = cv2.resize(scaled, (target_w, target_h), interpolation=cv2.INTER_CUBIC)
        scaled = np.clip(scaled, 0.0, 1.0)
    else:
        if content == "lines":
            reach = (max(1, round(height / target_h)), max(1, round(width / target_w)))
            if max(reach) > 1:
                values = cv2.dilate(values, np.ones(reach, np.uint8))
        # Exact nearest samples pixel centres; plain INTER_NEAREST shifts by up to half a pixel.
        scaled = cv2.resize(values, (target_w, target_h), interpolation=cv2.INTER_NEAREST_EXACT)
    return scaled.reshape(target_h, target_w, -1)


def _centre(values: np.ndarray, size: tuple[int, int], fill: float) -> np.ndarray:
    """Cut or pad (H, W, C) around its middle to (height, width)."""
    import numpy as np

    height, width = values.shape[:2]
    top, left = (height - size[0]) // 2, (width - size[1]) // 2
    cut = values[max(top, 0) : max(top, 0) + size[0], max(left, 0) : max(left, 0) + size[1]]
    if cut.shape[:2] == size:
        return cut
    canvas = np.full((*size, values.shape[-1]), fill, dtype=values.dtype)
    y, x = max(-top, 0), max(-left, 0)
    canvas[y : y + cut.shape[0], x : x + cut.shape[1]] = cut
    return canvas
