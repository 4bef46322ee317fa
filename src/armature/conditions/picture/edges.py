"""Edges the classical way: colour gradients without texture, thinned, linked and cleaned."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image


class Gradient(NamedTuple):
    """Edge strength (H, W), 0 and up, and the unit direction across the edge as two (H, W) maps."""

    strength: np.ndarray
    across_x: np.ndarray
    across_y: np.ndarray


def picture_scale(picture: Image.Image) -> float:
    """The picture's shorter side in units of 512 px: filters are stated for 512 and grow with the picture."""
    return min(picture.size) / 512


def lab(picture: Image.Image, smoothing: float = 0.0) -> np.ndarray:
    """The picture in Lab, float32 (H, W, 3), lightness 0..1 and colour in the same unit.

    smoothing: 0 none, 1 usual; flattens grain and texture and keeps edges (bilateral filter).
    """
    import cv2
    import numpy as np

    colour = np.asarray(picture.convert("RGB"))
    if smoothing > 0:
        reach = 2 * max(1, round(4 * picture_scale(picture))) + 1
        # Twice with a small reach costs less than once with a large one, and flattens more.
        for _ in range(2):
            colour = cv2.bilateralFilter(colour, min(reach, 9), 30 * smoothing, reach)
    return cv2.cvtColor(colour.astype(np.float32) / np.float32(255), cv2.COLOR_RGB2LAB) / np.float32(100)


def gradient(values: np.ndarray, sigma: float) -> Gradient:
    """Colour gradient of (H, W, C) at a scale of `sigma` pixels.

    The strongest direction of change over all channels together (Di Zenzo 1986: the structure tensor's larger
    eigenvalue), so that red on green of equal lightness is an edge. Strength is scaled by sigma, so that
    a step of height 1 gives about 0.4 at every scale.
    """
    import cv2
    import numpy as np

    smooth = cv2.GaussianBlur(values, (0, 0), max(sigma, 0.5), borderType=cv2.BORDER_REPLICATE)
    # Scharr's kernel sums to 32 over a central difference.
    gx = cv2.Scharr(smooth, cv2.CV_32F, 1, 0, scale=1 / 32, borderType=cv2.BORDER_REPLICATE)
    gy = cv2.Scharr(smooth, cv2.CV_32F, 0, 1, scale=1 / 32, borderType=cv2.BORDER_REPLICATE)
    gx, gy = (part if part.ndim == 3 else part[..., None] for part in (gx, gy))
    xx, yy, xy = (gx * gx).sum(-1), (gy * gy).sum(-1), (gx * gy).sum(-1)
    larger = 0.5 * (xx + yy + np.sqrt((xx - yy) ** 2 + 4 * xy * xy))
    angle = 0.5 * np.arctan2(2 * xy, xx - yy)
    return Gradient(np.sqrt(larger) * np.float32(max(sigma, 0.5)), np.cos(angle), np.sin(angle))


def contour_strength(values: np.ndarray, scale: float) -> Gradient:
    """Gradient of a Lab picture (H, W, 3) at two scales, with texture held down; scale as `picture_scale` gives it.

    Edges that live at both scales are contours; what only the fine one sees is grain. Strength that is
    surrounded by as much strength is texture and is damped (surround suppression, Grigorescu et al. 2003).
    """
    import cv2
    import numpy as np

    fine = gradient(values, max(0.8, 1.3 * scale))
    coarse = gradient(values, max(1.6, 3.0 * scale))
    both = np.sqrt(fine.strength * coarse.strength)
    around = cv2.GaussianBlur(both, (0, 0), max(4.0, 12 * scale), borderType=cv2.BORDER_REPLICATE)
    strength = both * both / (both + 1.2 * np.maximum(around - 0.15 * both, 0.0) + 1e-6)
    return Gradient(strength, fine.across_x, fine.across_y)


def thin(edge: Gradient) -> np.ndarray:
    """Strength where it is the highest across the edge, else 0: (H, W). Non-maximum suppression, sub-pixel steps."""
    import cv2
    import numpy as np

    height, width = edge.strength.shape
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    strength = edge.strength

    def beside(step: float) -> np.ndarray:
        return cv2.remap(
            strength,
            x + step * edge.across_x,
            y + step * edge.across_y,
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )

    # One side strictly: a plateau two pixels wide keeps one line of them.
    return np.where((strength > beside(1.0)) & (strength >= beside(-1.0)), strength, 0.0).astype(np.float32)


def link(strength: np.ndarray, low: float, high: float, shortest: int) -> np.ndarray:
    """Where strength is above `low` and hangs together with one above `high`: bool (H, W).

    shortest: pieces of fewer pixels are dropped.
    """
    import cv2
    import numpy as np

    count, labels, stats, _ = cv2.connectedComponentsWithStats((strength > low).astype(np.uint8), connectivity=8)
    labels = np.asarray(labels, np.intp)
    keep = np.zeros(count, bool)
    keep[np.unique(labels[strength > high])] = True
    keep &= stats[:, cv2.CC_STAT_AREA] >= shortest
    keep[0] = False
    return keep[labels]


def thresholds(strength: np.ndarray, detail: float) -> tuple[float, float]:
    """Hysteresis thresholds (low, high) for a wish for detail in 0..1.

    They follow the picture's own strong edges, so that a hazy photo gives lines too, but never fall so low
    that the grain of a plain wall becomes lines.
    """
    import numpy as np

    strong = float(np.percentile(strength, 99.0))
    high = max(0.55 * (1 - detail) * strong + 0.015, 0.012)
    return 0.4 * high, high


def stroke(lines: np.ndarray, width: float) -> np.ndarray:
    """Thin lines (H, W, bool) drawn `width` pixels wide with soft borders: float32 in 0..1."""
    import cv2
    import numpy as np

    away = cv2.distanceTransform((~lines).astype(np.uint8), cv2.DIST_L2, 5)
    return np.clip(width / 2 + 0.5 - away, 0.0, 1.0).astype(np.float32)


def to_map(values: np.ndarray) -> Image.Image:
    """Float (H, W) in 0..1 as an 8-bit picture of mode "L"."""
    from armature.conditions.picture.reading import to_picture

    return to_picture(values[..., None])
