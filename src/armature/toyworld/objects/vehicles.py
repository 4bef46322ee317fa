"""What drives, sails and flies, back to front, in unit space, facing right."""

from __future__ import annotations

import numpy as np

from armature.toyworld.objects.buildings import GLASS, LAMP, WOOD
from armature.toyworld.palette import RGB
from armature.toyworld.shapes import Part, against, box, ellipse, limb, polygon, rounded, shade

DARK: RGB = (52, 48, 58)
_STEEL: RGB = (190, 190, 196)


def _wheel(x: float, y: float, r: float, colour: RGB = DARK) -> list[Part]:
    """A tyre with its hub."""
    return [
        Part("wheel", ellipse(x, y, r, r), colour, rigid=True),
        Part("hub", ellipse(x, y, 0.44 * r, 0.44 * r), _STEEL, detail=True, rigid=True),
    ]


def boat(rng: np.random.Generator, colour: RGB, night: bool) -> list[Part]:
    """A hull in the colour with a mast and pale sails."""
    sail = shade(colour, 1.75) if max(colour) - min(colour) > 30 else (226, 214, 196)
    lean = rng.uniform(-0.03, 0.03)
    rim = polygon((-0.52, 0.28), (0.54, 0.28), (0.51, 0.22), (-0.48, 0.22))
    parts = [Part("mast", limb((lean / 2, 0.2), (lean, 0.98), 0.04), WOOD)]
    parts.append(Part("sail", polygon((lean + 0.04, 0.95), (lean + 0.42, 0.34), (lean + 0.03, 0.34)), sail))
    if rng.random() < 0.75:
        parts.append(Part("sail", polygon((lean - 0.04, 0.86), (lean - 0.32, 0.34), (lean - 0.03, 0.34)), sail))
    parts.append(Part("hull", polygon((-0.52, 0.28), (0.54, 0.28), (0.36, 0.0), (-0.34, 0.0)), colour))
    parts.append(Part("hull", rim, against(colour, shade(colour, 0.78), shade(colour, 1.25)), True))
    return parts


def car(rng: np.random.Generator, colour: RGB, night: bool) -> list[Part]:
    """A body and cabin in the colour on two wheels; small enough to be a toy."""
    roof = rng.uniform(0.94, 1.0)
    rear = polygon((-0.40, 0.54), (-0.27, roof - 0.1), (-0.03, roof - 0.1), (-0.03, 0.54))
    front = polygon((0.03, 0.54), (0.03, roof - 0.1), (0.25, roof - 0.1), (0.39, 0.54))
    return [
        Part("body", polygon((-0.52, 0.5), (-0.32, roof), (0.3, roof), (0.52, 0.5)), colour),
        Part("window", rear, GLASS, glow=night),
        Part("window", front, GLASS, glow=night),
        Part("body", rounded(-0.86, 0.16, 0.88, 0.56, 0.13), colour),
        Part("lamp", ellipse(0.8, 0.42, 0.06, 0.07), LAMP, detail=True, glow=night),
        *_wheel(-0.48, 0.2, 0.2, against(colour, DARK, (28, 26, 32))),
        *_wheel(0.48, 0.2, 0.2, against(colour, DARK, (28, 26, 32))),
    ]


def train(rng: np.random.Generator, colour: RGB, night: bool) -> list[Part]:
    """A steam engine with cabin and chimney, and sometimes the start of its wagon."""
    trim = against(colour, shade(colour, 0.62), shade(colour, 1.3))
    chassis = against(colour, DARK, (92, 84, 96))
    window = LAMP if night else GLASS
    parts = [
        Part("chimney", polygon((0.42, 0.6), (0.56, 0.6), (0.61, 0.98), (0.37, 0.98)), trim),
        Part("dome", ellipse(0.1, 0.68, 0.11, 0.13), trim),
        Part("boiler", rounded(-0.4, 0.3, 0.76, 0.7, 0.14), colour),
        Part("band", box(0.18, 0.3, 0.23, 0.7), trim, detail=True),
        Part("cabin", box(-0.86, 0.26, -0.3, 0.92), colour),
        Part("window", box(-0.72, 0.56, -0.44, 0.8), window, glow=night),
        Part("roof", rounded(-0.95, 0.88, -0.21, 1.0, 0.05), trim),
        Part(
            "chassis", polygon((-0.9, 0.2), (0.8, 0.2), (0.98, 0.06), (0.98, 0.0), (0.78, 0.32), (-0.9, 0.32)), chassis
        ),
        Part("lamp", ellipse(0.74, 0.54, 0.06, 0.07, count=16), LAMP, detail=True, glow=night, rigid=True),
    ]
    for x, r in ((-0.58, 0.2), (0.08, 0.155), (0.5, 0.155)):
        parts += _wheel(x, r, r, against(colour, (74, 60, 66), (30, 28, 34)))
    return parts


def plane(rng: np.random.Generator, colour: RGB, night: bool) -> list[Part]:
    """An aeroplane from the side: body and fin in the colour, wings, a row of windows."""
    dark = against(colour, shade(colour, 0.7), shade(colour, 1.3))
    window = LAMP if night else against(colour, (72, 92, 128), GLASS)
    body = polygon(
        (-0.95, 0.62), (-0.6, 0.64), (0.5, 0.66), (0.72, 0.62), (0.9, 0.52), (0.96, 0.44),
        (0.9, 0.37), (0.7, 0.31), (0.3, 0.28), (-0.3, 0.3), (-0.72, 0.44),
    )  # fmt: skip
    parts = [
        Part("wing", polygon((0.1, 0.6), (0.26, 0.6), (0.02, 0.88), (-0.1, 0.88)), dark),
        Part("fin", polygon((-0.94, 0.58), (-0.96, 1.0), (-0.78, 1.0), (-0.5, 0.6)), dark),
        Part("body", body, colour),
        Part("window", polygon((0.64, 0.6), (0.78, 0.57), (0.84, 0.5), (0.64, 0.5)), window, glow=night),
        Part("wing", polygon((-0.08, 0.42), (0.34, 0.42), (-0.14, 0.0), (-0.4, 0.0)), dark),
        Part("tail", polygon((-0.9, 0.58), (-0.62, 0.56), (-0.88, 0.4), (-0.98, 0.4)), dark, detail=True),
    ]
    for x in np.arange(-0.42, 0.5, 0.2):
        round_window = ellipse(float(x), 0.53, 0.05, 0.05, count=12)
        parts.append(Part("window", round_window, window, detail=True, glow=night, rigid=True))
    return parts


def balloon(rng: np.random.Generator, colour: RGB, night: bool) -> list[Part]:
    """A hot-air balloon: an envelope in the colour with a darker stripe, and a basket."""
    stripe = against(colour, shade(colour, 0.78), shade(colour, 1.25))
    return [
        Part("rope", limb((-0.2, 0.4), (-0.08, 0.14), 0.025), WOOD, detail=True),
        Part("rope", limb((0.2, 0.4), (0.08, 0.14), 0.025), WOOD, detail=True),
        Part("envelope", polygon((-0.3, 0.42), (0.3, 0.42), (0.1, 0.22), (-0.1, 0.22)), colour),
        Part("envelope", ellipse(0, 0.64, 0.37, 0.36, count=36), colour),
        Part("envelope", ellipse(0, 0.64, 0.13, 0.36), stripe),
        Part("basket", rounded(-0.11, 0.0, 0.11, 0.15, 0.03), (156, 106, 62)),
    ]


def rocket(rng: np.random.Generator, colour: RGB, night: bool) -> list[Part]:
    """A pointed rocket with fins, a round window and a flame."""
    dark = against(colour, shade(colour, 0.68), shade(colour, 1.3))
    hull = ellipse(0, 0.36, 0.2, 0.64, count=40)
    hull = hull[hull[:, 1] >= 0.16]
    return [
        Part("flame", polygon((-0.1, 0.2), (0.1, 0.2), (0, 0.0)), (255, 170, 50), glow=True),
        Part("fin", polygon((-0.15, 0.46), (-0.38, 0.1), (-0.14, 0.18)), dark),
        Part("fin", polygon((0.15, 0.46), (0.38, 0.1), (0.14, 0.18)), dark),
        Part("hull", hull, colour),
        Part("window", ellipse(0, 0.62, 0.1, 0.1), LAMP if night else GLASS, glow=night, rigid=True),
    ]
