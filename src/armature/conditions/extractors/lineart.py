"""Line art without a network: soft strokes that follow the forms."""

from __future__ import annotations

from typing import TYPE_CHECKING

from armature.conditions.extractor import Extractor, Option
from armature.conditions.kinds import contract_for
from armature.conditions.picture.edges import lab, picture_scale, to_map

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image


def lineart(picture: Image.Image, detail: float, smoothing: float, width: float) -> Image.Image:
    """White strokes with soft borders on black, mode "L".

    Difference of Gaussians across the edge, averaged along it, so that broken edges close into strokes and grain
    averages out (flow-based difference of Gaussians, Kang et al. 2007; flow from a smoothed structure tensor,
    Kyprianidis and Dollner 2008).
    """
    import cv2
    import numpy as np

    scale = picture_scale(picture)
    tones = lab(picture, smoothing)
    sigma = max(0.6, width * scale)
    along_x, along_y = _flow(tones, max(1.5, 3.0 * scale))
    # Lightness carries the drawing; colour adds the edges that lightness misses, without a sign.
    light = _difference(tones[..., 0], sigma)
    colour = np.hypot(_difference(tones[..., 1], sigma), _difference(tones[..., 2], sigma))
    ink = np.maximum(light, 0.35 * colour)
    ink = _along(ink, along_x, along_y, steps=max(2, round(4 * sigma)))
    strong = max(float(np.percentile(ink, 99.0)), 0.02)
    floor = 0.3 * (1 - detail) * strong + 0.002
    strokes = np.clip((ink - floor) / (0.45 * strong), 0.0, 1.0)
    strokes = cv2.GaussianBlur(strokes, (0, 0), 0.5)
    return to_map(_without_crumbs(strokes, max(6, round(30 * scale * (1.5 - detail)))))


def _flow(tones: np.ndarray, sigma: float) -> tuple[np.ndarray, np.ndarray]:
    """Unit direction along the edges, (H, W) twice, from the structure tensor averaged over `sigma` pixels."""
    import cv2
    import numpy as np

    gx = cv2.Scharr(tones, cv2.CV_32F, 1, 0, scale=1 / 32, borderType=cv2.BORDER_REPLICATE)
    gy = cv2.Scharr(tones, cv2.CV_32F, 0, 1, scale=1 / 32, borderType=cv2.BORDER_REPLICATE)
    parts = np.stack([(gx * gx).sum(-1), (gy * gy).sum(-1), (gx * gy).sum(-1)], axis=-1)
    xx, yy, xy = np.moveaxis(cv2.GaussianBlur(parts, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE), -1, 0)
    across = 0.5 * np.arctan2(2 * xy, xx - yy)
    return -np.sin(across), np.cos(across)


def _difference(tone: np.ndarray, sigma: float) -> np.ndarray:
    """How much darker (for lightness) a pixel is than its surroundings: (H, W).

    Difference of Gaussians with widths sigma and 1.6 sigma, which is close to the Laplacian: dark lines answer fully,
    and steps answer on their dark side, which is where a pencil would go.
    """
    import cv2
    import numpy as np

    narrow = cv2.GaussianBlur(tone, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
    wide = cv2.GaussianBlur(tone, (0, 0), 1.6 * sigma, borderType=cv2.BORDER_REPLICATE)
    return np.maximum(wide - narrow, 0.0)


def _along(ink: np.ndarray, along_x: np.ndarray, along_y: np.ndarray, steps: int) -> np.ndarray:
    """The ink averaged along the flow, `steps` pixels to both sides, with a bell-shaped weight: (H, W)."""
    import cv2
    import numpy as np

    height, width = ink.shape
    x0, y0 = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    total, weights = ink.copy(), 1.0
    for side in (1.0, -1.0):
        x, y = x0.copy(), y0.copy()
        last_x, last_y = side * along_x, side * along_y
        for step in range(1, steps + 1):
            x, y = x + last_x, y + last_y
            weight = float(np.exp(-0.5 * (2 * step / steps) ** 2))
            total += weight * cv2.remap(ink, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            weights += weight
            next_x = cv2.remap(along_x, x, y, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)
            next_y = cv2.remap(along_y, x, y, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)
            # Directions along an edge have no sign of their own: keep walking forwards.
            turn = np.where(next_x * last_x + next_y * last_y < 0, np.float32(-1), np.float32(1))
            last_x, last_y = turn * next_x, turn * next_y
    return total / np.float32(weights)


def _without_crumbs(strokes: np.ndarray, smallest: int) -> np.ndarray:
    import cv2
    import numpy as np

    count, labels, stats, _ = cv2.connectedComponentsWithStats((strokes > 0.15).astype(np.uint8), connectivity=8)
    keep = stats[:, cv2.CC_STAT_AREA] >= smallest
    keep[0] = False  # the background's faint rest goes as well
    grown = cv2.dilate(keep[np.asarray(labels, np.intp)].astype(np.uint8), np.ones((3, 3), np.uint8))
    return np.where(grown > 0, strokes, 0.0).astype(np.float32) if count > 1 else np.zeros_like(strokes)


EXTRACTOR = Extractor(
    name="lineart",
    kind="lineart",
    summary="soft strokes along the forms, without a network",
    run=lineart,
    contract=contract_for("lineart"),
    options=(
        Option("detail", 0.5, "how weak a line may be and still be drawn", 0, 1),
        Option("smoothing", 1.0, "how much texture is flattened first", 0, 3),
        Option("width", 1.2, "Gaussian radius of a stroke in pixels for a picture of 512", 0.3, 8),
    ),
)
