"""The things of toyworld: each builder returns the parts of one object, back to front, in unit space."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from armature.toyworld.palette import RGB
from armature.toyworld.shapes import Part, box, ellipse, limb, polygon, rounded, shade

DARK: RGB = (52, 48, 58)
GLASS: RGB = (178, 220, 240)
LAMP: RGB = (255, 226, 130)
WOOD: RGB = (122, 84, 56)


def house(rng: np.random.Generator, colour: RGB, night: bool) -> list[Part]:
    """A wall in the colour, a contrasting roof, door, windows and sometimes a chimney."""
    wide = rng.uniform(0.42, 0.56)
    wall = rng.uniform(0.52, 0.62)
    roof: RGB = (112, 82, 86) if max(colour) > 225 and min(colour) > 30 else (92, 74, 92)
    window = LAMP if night else GLASS
    parts = []
    if rng.random() < 0.6:
        x = wide * rng.choice([-0.55, 0.55])
        parts.append(Part(box(x - 0.06, 0.6, x + 0.06, 0.98), shade(roof, 0.8)))
    parts.append(Part(box(-wide, 0, wide, wall), colour))
    if rng.random() < 0.7:
        parts.append(Part(polygon((-wide - 0.09, wall), (wide + 0.09, wall), (0, 1.0)), roof))
    else:
        flat = (-wide * 0.6, 0.92), (wide * 0.6, 0.92)
        parts.append(Part(polygon((-wide - 0.09, wall), (wide + 0.09, wall), flat[1], flat[0]), roof))
    door = rng.choice([-0.5, 0.0, 0.5]) * wide
    parts.append(Part(box(door - 0.085, 0, door + 0.085, 0.32), WOOD))
    for x in (-0.52 * wide, 0.52 * wide):
        low = 0.30 if abs(x - door) > 0.17 else 0.36
        if low + 0.17 < wall:
            parts.append(Part(box(x - 0.085, low, x + 0.085, low + 0.16), window, glow=night))
    return parts


def tree(rng: np.random.Generator, colour: RGB, night: bool) -> list[Part]:
    """A trunk under a round, cloudy or fir-shaped crown in the colour."""
    shape = rng.integers(3)
    parts = [Part(polygon((-0.07, 0), (0.07, 0), (0.05, 0.5), (-0.05, 0.5)), WOOD)]
    if shape == 0:
        parts.append(Part(ellipse(0, 0.66, rng.uniform(0.30, 0.36), 0.34), colour))
    elif shape == 1:
        for x, y, r in ((-0.2, 0.56, 0.2), (0.2, 0.56, 0.2), (0, 0.76, 0.24)):
            parts.append(Part(ellipse(x, y, r, r), colour))
        parts.append(Part(ellipse(0, 0.58, 0.17, 0.14), colour, detail=True))
    else:
        for low, high, wide in ((0.22, 0.60, 0.36), (0.42, 0.80, 0.29), (0.62, 1.0, 0.21)):
            parts.append(Part(polygon((-wide, low), (wide, low), (0, high)), colour))
    return parts


def boat(rng: np.random.Generator, colour: RGB, night: bool) -> list[Part]:
    """A hull in the colour with a mast and pale sails."""
    sail = shade(colour, 1.75) if max(colour) - min(colour) > 30 else (226, 214, 196)
    lean = rng.uniform(-0.03, 0.03)
    parts = [Part(limb((lean / 2, 0.2), (lean, 0.98), 0.04), WOOD)]
    parts.append(Part(polygon((lean + 0.04, 0.95), (lean + 0.42, 0.34), (lean + 0.03, 0.34)), sail))
    if rng.random() < 0.75:
        parts.append(Part(polygon((lean - 0.04, 0.86), (lean - 0.32, 0.34), (lean - 0.03, 0.34)), sail))
    parts.append(Part(polygon((-0.52, 0.28), (0.54, 0.28), (0.36, 0.0), (-0.34, 0.0)), colour))
    parts.append(Part(polygon((-0.52, 0.28), (0.54, 0.28), (0.51, 0.22), (-0.48, 0.22)), shade(colour, 0.78), True))
    return parts


def car(rng: np.random.Generator, colour: RGB, night: bool) -> list[Part]:
    """A body and cabin in the colour on two wheels; small enough to be a toy."""
    side = rng.choice([-1.0, 1.0])
    flip = np.array([side, 1.0])
    roof = rng.uniform(0.94, 1.0)
    parts = [
        Part(polygon((-0.52, 0.5), (-0.32, roof), (0.3, roof), (0.52, 0.5)) * flip, colour),
        Part(polygon((-0.40, 0.54), (-0.27, roof - 0.1), (-0.03, roof - 0.1), (-0.03, 0.54)) * flip, GLASS, glow=night),
        Part(polygon((0.03, 0.54), (0.03, roof - 0.1), (0.25, roof - 0.1), (0.39, 0.54)) * flip, GLASS, glow=night),
        Part(rounded(-0.86, 0.16, 0.88, 0.56, 0.13), colour),
        Part(ellipse(0.8 * side, 0.42, 0.06, 0.07), LAMP, detail=True, glow=night),
    ]
    for x in (-0.48, 0.48):
        parts.append(Part(ellipse(x, 0.2, 0.2, 0.2), DARK))
        parts.append(Part(ellipse(x, 0.2, 0.085, 0.085), (190, 190, 196), detail=True))
    return parts


def ball(rng: np.random.Generator, colour: RGB, night: bool) -> list[Part]:
    """A beach ball: the colour with a paler band."""
    turn = rng.uniform(-0.7, 0.7)
    pale: RGB = (250, 246, 236) if min(colour) < 235 else (206, 206, 214)
    return [
        Part(ellipse(0, 0.5, 0.5, 0.5, count=36), colour),
        Part(ellipse(0, 0.5, 0.16, 0.5, turn), pale),
    ]


def cat(rng: np.random.Generator, colour: RGB, night: bool) -> list[Part]:
    """A sitting cat, seen from the front, with its tail to one side."""
    side = rng.choice([-1.0, 1.0])
    flip = np.array([side, 1.0])
    dark = shade(colour, 0.74)
    eye = (240, 220, 90) if max(colour) < 200 else (40, 60, 40)
    return [
        Part(limb((0.22, 0.1), (0.46, 0.16), 0.1) * flip, dark),
        Part(limb((0.46, 0.16), (0.48, 0.46), 0.1) * flip, dark),
        Part(ellipse(0, 0.27, 0.28, 0.29), colour),
        Part(ellipse(0, 0.22, 0.14, 0.2), shade(colour, 1.45), detail=True),
        Part(polygon((-0.29, 0.66), (-0.25, 1.0), (-0.03, 0.82)), colour),
        Part(polygon((0.29, 0.66), (0.25, 1.0), (0.03, 0.82)), colour),
        Part(ellipse(0, 0.66, 0.3, 0.23), colour),
        Part(ellipse(-0.12, 0.69, 0.05, 0.06, count=12), eye, detail=True),
        Part(ellipse(0.12, 0.69, 0.05, 0.06, count=12), eye, detail=True),
        Part(polygon((-0.045, 0.6), (0.045, 0.6), (0, 0.55)), (225, 120, 130), detail=True),
    ]


def bird(rng: np.random.Generator, colour: RGB, night: bool) -> list[Part]:
    """A plump bird in profile with wing, beak and thin legs."""
    side = rng.choice([-1.0, 1.0])
    flip = np.array([side, 1.0])
    return [
        Part(limb((-0.06, 0.02), (-0.05, 0.3), 0.05), (226, 140, 50)),
        Part(limb((0.12, 0.02), (0.1, 0.3), 0.05), (226, 140, 50)),
        Part(polygon((-0.3, 0.5), (-0.74, 0.66), (-0.66, 0.4)) * flip, shade(colour, 0.76)),
        Part(polygon((0.5, 0.83), (0.76, 0.74), (0.5, 0.68)) * flip, (244, 166, 40)),
        Part(ellipse(0, 0.46, 0.46, 0.3), colour),
        Part(ellipse(0.32 * side, 0.77, 0.23, 0.22), colour),
        Part(ellipse(-0.08 * side, 0.48, 0.26, 0.15, -0.35 * side), shade(colour, 0.76)),
        Part(ellipse(0.38 * side, 0.82, 0.045, 0.05, count=12), DARK, detail=True),
    ]


def flower(rng: np.random.Generator, colour: RGB, night: bool) -> list[Part]:
    """A big flower: petals in the colour around a contrasting heart."""
    lean = rng.uniform(-0.06, 0.06)
    petals = int(rng.integers(5, 8))
    start = rng.uniform(0, 2 * np.pi)
    heart: RGB = (250, 206, 60) if not (colour[0] > 220 and 180 < colour[1] < 240) else (150, 90, 40)
    stalk: RGB = (64, 140, 66)
    parts = [
        Part(limb((0, 0.0), (lean, 0.62), 0.06), stalk),
        Part(ellipse(0.15, 0.22, 0.15, 0.07, 0.5), stalk),
        Part(ellipse(-0.15, 0.3, 0.15, 0.07, -0.5), stalk),
    ]
    for k in range(petals):
        a = start + 2 * np.pi * k / petals
        parts.append(Part(ellipse(lean + 0.2 * np.cos(a), 0.68 + 0.2 * np.sin(a), 0.16, 0.12, a, 16), colour))
    parts.append(Part(ellipse(lean, 0.68, 0.12, 0.12), heart))
    return parts


def mushroom(rng: np.random.Generator, colour: RGB, night: bool) -> list[Part]:
    """A domed cap in the colour with pale spots on a thick stalk."""
    cap = ellipse(0, 0.5, 0.52, 0.5, count=36)
    cap = cap[cap[:, 1] >= 0.5 - 1e-9]
    spot: RGB = (250, 244, 230) if min(colour) < 200 else (210, 120, 120)
    return [
        Part(rounded(-0.19, 0.0, 0.19, 0.58, 0.1), (240, 226, 200)),
        Part(cap, colour),
        Part(ellipse(-0.24, 0.66, 0.09, 0.08, count=14), spot, detail=True),
        Part(ellipse(0.04, 0.84, 0.1, 0.08, count=14), spot, detail=True),
        Part(ellipse(0.28, 0.64, 0.08, 0.07, count=14), spot, detail=True),
    ]


def balloon(rng: np.random.Generator, colour: RGB, night: bool) -> list[Part]:
    """A hot-air balloon: an envelope in the colour with a darker stripe, and a basket."""
    return [
        Part(limb((-0.2, 0.4), (-0.08, 0.14), 0.025), WOOD, detail=True),
        Part(limb((0.2, 0.4), (0.08, 0.14), 0.025), WOOD, detail=True),
        Part(polygon((-0.3, 0.42), (0.3, 0.42), (0.1, 0.22), (-0.1, 0.22)), colour),
        Part(ellipse(0, 0.64, 0.37, 0.36, count=36), colour),
        Part(ellipse(0, 0.64, 0.13, 0.36), shade(colour, 0.78)),
        Part(rounded(-0.11, 0.0, 0.11, 0.15, 0.03), (156, 106, 62)),
    ]


def rocket(rng: np.random.Generator, colour: RGB, night: bool) -> list[Part]:
    """A pointed rocket with fins, a round window and a flame."""
    dark = shade(colour, 0.68)
    hull = ellipse(0, 0.36, 0.2, 0.64, count=40)
    hull = hull[hull[:, 1] >= 0.16]
    return [
        Part(polygon((-0.1, 0.2), (0.1, 0.2), (0, 0.0)), (255, 170, 50), glow=True),
        Part(polygon((-0.15, 0.46), (-0.38, 0.1), (-0.14, 0.18)), dark),
        Part(polygon((0.15, 0.46), (0.38, 0.1), (0.14, 0.18)), dark),
        Part(hull, colour),
        Part(ellipse(0, 0.62, 0.1, 0.1), LAMP if night else GLASS, glow=night),
    ]


BUILDERS: dict[str, Callable[[np.random.Generator, RGB, bool], list[Part]]] = {
    "house": house,
    "tree": tree,
    "boat": boat,
    "car": car,
    "ball": ball,
    "cat": cat,
    "bird": bird,
    "flower": flower,
    "mushroom": mushroom,
    "balloon": balloon,
    "rocket": rocket,
}

# Usual heights of the objects when they stand nearest to the eye, as a share of the picture's side.
HEIGHTS: dict[str, float] = {
    "house": 0.52,
    "tree": 0.56,
    "boat": 0.46,
    "car": 0.29,
    "ball": 0.27,
    "cat": 0.40,
    "bird": 0.34,
    "person": 0.58,
    "flower": 0.44,
    "mushroom": 0.36,
    "balloon": 0.46,
    "rocket": 0.50,
}
# Half widths in unit space, for layout.
HALF_WIDTHS: dict[str, float] = {
    "house": 0.62,
    "tree": 0.38,
    "boat": 0.54,
    "car": 0.88,
    "ball": 0.5,
    "cat": 0.44,
    "bird": 0.7,
    "person": 0.3,
    "flower": 0.38,
    "mushroom": 0.52,
    "balloon": 0.38,
    "rocket": 0.38,
}
AIRBORNE: frozenset[str] = frozenset({"balloon", "rocket"})
AFLOAT: tuple[str, ...] = ("boat", "ball", "bird", "balloon", "rocket")
ASHORE: tuple[str, ...] = tuple(name for name in HEIGHTS if name != "boat")
