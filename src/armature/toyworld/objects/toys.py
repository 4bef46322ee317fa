"""Balls and snowmen, back to front, in unit space."""

from __future__ import annotations

import numpy as np

from armature.toyworld.palette import RGB
from armature.toyworld.shapes import Part, ellipse, limb, polygon, rounded, shade

_SNOW: RGB = (250, 252, 255)
_SHADE: RGB = (206, 218, 234)
_COAL: RGB = (48, 46, 54)
_STICK: RGB = (118, 82, 54)


def ball(rng: np.random.Generator, colour: RGB, night: bool) -> list[Part]:
    """A beach ball: the colour with a paler band."""
    turn = rng.uniform(-0.7, 0.7)
    pale: RGB = (250, 246, 236) if min(colour) < 235 else (206, 206, 214)
    return [
        Part("ball", ellipse(0, 0.5, 0.5, 0.5, count=36), colour),
        Part("ball", ellipse(0, 0.5, 0.16, 0.5, turn), pale),
    ]


def snowman(rng: np.random.Generator, colour: RGB, night: bool) -> list[Part]:
    """Three balls of snow with a hat and a scarf in the colour, a carrot, eyes, buttons and stick arms."""
    parts = [
        Part("arm", limb((-0.14, 0.56), (-0.4, rng.uniform(0.5, 0.74)), 0.035), _STICK),
        Part("arm", limb((0.14, 0.56), (0.4, rng.uniform(0.5, 0.74)), 0.035), _STICK),
    ]
    for name, y, r in (("base", 0.235, 0.265), ("body", 0.53, 0.2), ("head", 0.755, 0.15)):
        # A shaded ball with its lit side over it: snow before snow still shows where it ends.
        parts.append(Part(name, ellipse(0, y, r, r * 0.96), _SHADE))
        parts.append(Part(name, ellipse(-0.09 * r, y + 0.07 * r, r * 0.88, r * 0.86), _SNOW, seam=True))
    parts += [
        Part("scarf", limb((0.06, 0.62), (0.1, 0.44), 0.07), shade(colour, 0.8)),
        Part("scarf", rounded(-0.15, 0.585, 0.15, 0.665, 0.035), colour),
        Part("hat", rounded(-0.2, 0.83, 0.2, 0.885, 0.025), colour),
        Part("hat", polygon((-0.12, 0.88), (0.12, 0.88), (0.11, 1.0), (-0.11, 1.0)), colour),
        Part("nose", polygon((0.0, 0.775), (0.19, 0.745), (0.0, 0.715)), (240, 132, 36), detail=True),
    ]
    for x in (-0.062, 0.062):
        parts.append(Part("eye", ellipse(x, 0.792, 0.02, 0.022, count=10), _COAL, detail=True))
    for y in (0.3, 0.41, 0.52):
        parts.append(Part("button", ellipse(-0.01, y, 0.022, 0.022, count=10), _COAL, detail=True))
    return parts
