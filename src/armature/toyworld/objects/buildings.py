"""Houses and castles, back to front, in unit space."""

from __future__ import annotations

import numpy as np

from armature.toyworld.palette import RGB
from armature.toyworld.shapes import Part, against, box, ellipse, polygon, shade

GLASS: RGB = (178, 220, 240)
LAMP: RGB = (255, 226, 130)
WOOD: RGB = (122, 84, 56)


def house(rng: np.random.Generator, colour: RGB, night: bool) -> list[Part]:
    """A wall in the colour, a contrasting roof, door, windows with crossbars and sometimes a chimney."""
    wide = rng.uniform(0.42, 0.56)
    wall = rng.uniform(0.52, 0.62)
    roof: RGB = (112, 82, 86) if max(colour) > 225 and min(colour) > 30 else (92, 74, 92)
    roof = against(colour, roof, (176, 84, 72))
    window = LAMP if night else GLASS
    frame: RGB = (74, 66, 74)
    parts = []
    if rng.random() < 0.6:
        x = wide * rng.choice([-0.55, 0.55])
        parts.append(Part("chimney", box(x - 0.06, 0.6, x + 0.06, 0.98), shade(roof, 0.8)))
    parts.append(Part("wall", box(-wide, 0, wide, wall), colour))
    if rng.random() < 0.7:
        parts.append(Part("roof", polygon((-wide - 0.09, wall), (wide + 0.09, wall), (0, 1.0)), roof))
        if rng.random() < 0.35:
            parts.append(Part("window", ellipse(0, wall + 0.13, 0.06, 0.06, count=18), window, True, night, rigid=True))
    else:
        flat = (-wide * 0.6, 0.92), (wide * 0.6, 0.92)
        parts.append(Part("roof", polygon((-wide - 0.09, wall), (wide + 0.09, wall), flat[1], flat[0]), roof))
    door = float(rng.choice([-0.5, 0.0, 0.5])) * wide
    wood = against(colour, WOOD, (168, 124, 84))
    parts.append(Part("door", box(door - 0.085, 0, door + 0.085, 0.32), wood))
    parts.append(Part("knob", ellipse(door + 0.05, 0.16, 0.016, 0.016, count=8), LAMP, detail=True, rigid=True))
    for x in (-0.52 * wide, 0.0, 0.52 * wide):
        # One in the middle only beside a door at the side, and where there is room.
        if abs(x - door) > 0.2 and (x or (door and wide > 0.48)):
            parts.append(Part("window", box(x - 0.085, 0.3, x + 0.085, 0.46), window, glow=night))
            bars = box(x - 0.085, 0.373, x + 0.085, 0.389), box(x - 0.008, 0.3, x + 0.008, 0.46)
            parts += [Part("window", points, frame, detail=True) for points in bars]
    return parts


def castle(rng: np.random.Generator, colour: RGB, night: bool) -> list[Part]:
    """A wall with battlements and a gate between two towers, which have battlements or pointed roofs."""
    dark = against(colour, shade(colour, 0.78), shade(colour, 1.22))
    roof = against(colour, (112, 70, 96), (176, 84, 72))
    window = LAMP if night else (62, 56, 72)
    pointed = rng.random() < 0.65
    top = 0.72 if pointed else 0.9
    parts = []
    if rng.random() < 0.6:
        keep = 0.86 if pointed else 0.8
        parts += [
            Part("keep", box(-0.17, 0.3, 0.17, keep), dark),
            *_battlements(-0.17, 0.17, keep, 0.09, 3, dark),
            Part("window", box(-0.045, 0.62, 0.045, 0.74), window, glow=night),
        ]
    parts += [Part("wall", box(-0.4, 0, 0.4, 0.46), colour), *_battlements(-0.36, 0.36, 0.46, 0.09, 5, colour)]
    for x in (-0.42, 0.42):
        parts.append(Part("tower", box(x - 0.14, 0, x + 0.14, top), dark))
        if pointed:
            parts.append(Part("roof", polygon((x - 0.18, top), (x + 0.18, top), (x, 1.0)), roof))
        else:
            parts += _battlements(x - 0.16, x + 0.16, top, 0.1, 3, dark)
        parts.append(Part("window", box(x - 0.04, top - 0.26, x + 0.04, top - 0.12), window, glow=night))
    arch = ellipse(0, 0.2, 0.13, 0.13)
    arch = np.concatenate([arch[arch[:, 1] >= 0.2 - 1e-9], [[-0.13, 0.0], [0.13, 0.0]]])
    parts.append(Part("gate", arch, against(colour, (86, 60, 48), (150, 108, 76))))
    return parts


def _battlements(x0: float, x1: float, y: float, high: float, count: int, colour: RGB) -> list[Part]:
    """Teeth on a wall: one outline, whose foot melts into the wall below."""
    step = (x1 - x0) / (2 * count - 1)
    points = [(x0, y - 0.02)]
    for k in range(count):
        left, right = x0 + 2 * k * step, x0 + (2 * k + 1) * step
        points += [(left, y), (left, y + high), (right, y + high), (right, y)]
    points.append((x1, y - 0.02))
    seam = box(x0 + 0.012, y - 0.05, x1 - 0.012, y - 0.005)
    return [Part("battlement", polygon(*points), colour), Part("battlement", seam, colour, seam=True)]
