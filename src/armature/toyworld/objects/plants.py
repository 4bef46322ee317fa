"""Trees, flowers and mushrooms, back to front, in unit space."""

from __future__ import annotations

import numpy as np

from armature.toyworld.objects.buildings import WOOD
from armature.toyworld.palette import RGB
from armature.toyworld.shapes import Part, ellipse, limb, polygon, rounded


def tree(rng: np.random.Generator, colour: RGB, night: bool) -> list[Part]:
    """A trunk under a round, cloudy or fir-shaped crown in the colour."""
    shape = rng.integers(3)
    parts = [Part("trunk", polygon((-0.07, 0), (0.07, 0), (0.05, 0.5), (-0.05, 0.5)), WOOD)]
    if shape == 0:
        parts.append(Part("crown", ellipse(0, 0.66, rng.uniform(0.30, 0.36), 0.34), colour))
    elif shape == 1:
        for x, y, r in ((-0.2, 0.56, 0.2), (0.2, 0.56, 0.2), (0, 0.76, 0.24)):
            parts.append(Part("crown", ellipse(x, y, r, r), colour))
        parts.append(Part("crown", ellipse(0, 0.60, 0.19, 0.15), colour, seam=True))
    else:
        for low, high, wide in ((0.22, 0.60, 0.36), (0.42, 0.80, 0.29), (0.62, 1.0, 0.21)):
            parts.append(Part("crown", polygon((-wide, low), (wide, low), (0, high)), colour))
    return parts


def flower(rng: np.random.Generator, colour: RGB, night: bool) -> list[Part]:
    """A big flower: petals in the colour around a contrasting heart."""
    lean = rng.uniform(-0.06, 0.06)
    petals = int(rng.integers(5, 8))
    start = rng.uniform(0, 2 * np.pi)
    heart: RGB = (250, 206, 60) if not (colour[0] > 220 and 180 < colour[1] < 240) else (150, 90, 40)
    stalk: RGB = (64, 140, 66)
    parts = [
        Part("stalk", limb((0, 0.0), (lean, 0.62), 0.06), stalk),
        Part("leaf", ellipse(0.15, 0.22, 0.15, 0.07, 0.5), stalk),
        Part("leaf", ellipse(-0.15, 0.3, 0.15, 0.07, -0.5), stalk),
    ]
    for k in range(petals):
        a = start + 2 * np.pi * k / petals
        petal = ellipse(lean + 0.2 * np.cos(a), 0.68 + 0.2 * np.sin(a), 0.16, 0.12, a, 16)
        parts.append(Part("petal", petal, colour))
    parts.append(Part("heart", ellipse(lean, 0.68, 0.12, 0.12), heart))
    return parts


def mushroom(rng: np.random.Generator, colour: RGB, night: bool) -> list[Part]:
    """A domed cap in the colour with pale spots on a thick stalk."""
    cap = ellipse(0, 0.5, 0.52, 0.5, count=36)
    cap = cap[cap[:, 1] >= 0.5 - 1e-9]
    spot: RGB = (250, 244, 230) if min(colour) < 200 else (210, 120, 120)
    return [
        Part("stalk", rounded(-0.19, 0.0, 0.19, 0.58, 0.1), (240, 226, 200)),
        Part("cap", cap, colour),
        Part("spot", ellipse(-0.24, 0.66, 0.09, 0.08, count=14), spot, detail=True),
        Part("spot", ellipse(0.04, 0.84, 0.1, 0.08, count=14), spot, detail=True),
        Part("spot", ellipse(0.28, 0.64, 0.08, 0.07, count=14), spot, detail=True),
    ]
