"""Drawings for the tests, made of known lines."""

import numpy as np
from PIL import Image, ImageDraw


def lines(ink=255, paper=0, mode="L", size=192, width=3):
    """A circle and a line in `ink` on `paper`."""
    image = Image.new(mode, (size, size), paper)
    pen = ImageDraw.Draw(image)
    pen.ellipse((size * 0.2, size * 0.15, size * 0.8, size * 0.75), outline=ink, width=width)
    pen.line((size * 0.05, size * 0.92, size * 0.95, size * 0.85), fill=ink, width=width)
    return image


def photographed(drawing, seed=0):
    """The drawing as a phone sees it: a shadow over the paper, warm light, noise."""
    tones = np.asarray(drawing.convert("RGB")).astype(np.float32)
    height, width = tones.shape[:2]
    y, x = np.mgrid[:height, :width] / max(height, width)
    light = (0.45 + 0.5 * x * (1 - 0.5 * y))[..., None] * np.array([1.0, 0.95, 0.82])
    noise = np.random.default_rng(seed).normal(0, 4, tones.shape)
    return Image.fromarray(np.clip(tones * light + noise, 0, 255).astype(np.uint8))


def photo(size=192, seed=0):
    """Something like a photo: smooth shapes over a gradient, and texture."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size] / size
    tones = np.stack([0.4 + 0.4 * x, 0.5 + 0.3 * y, 0.7 - 0.3 * x], axis=-1)
    for _ in range(9):
        cx, cy, r = rng.random(3) * (1, 1, 0.25) + (0, 0, 0.05)
        tones[(x - cx) ** 2 + (y - cy) ** 2 < r * r] = rng.random(3)
    return Image.fromarray((255 * np.clip(tones + rng.normal(0, 0.02, tones.shape), 0, 1)).astype(np.uint8))
