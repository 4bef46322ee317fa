"""Outlines of simple shapes as point arrays (n, 2), x to the right, y up, in an object's own unit space."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from armature.toyworld.palette import RGB


@dataclass(frozen=True)
class Part:
    """One filled outline of an object.

    name: what it is ("wheel", "head"): parts that move together share a name. points: (n, 2), unit space (the object
    stands on y = 0 and is about 1 high). colour: RGB 0..255.
    detail: too small for a sketch (an eye, a hub cap) unless it is drawn large, but seen by an edge detector.
    glow: keeps its colour in the dark (lit windows). rigid: keeps its shape when the object is drawn wider or narrower
    (a wheel stays round). seam: hides the lines below it and has none itself, where shapes of one colour melt together.
    """

    name: str
    points: np.ndarray
    colour: RGB
    detail: bool = False
    glow: bool = False
    rigid: bool = False
    seam: bool = False


@cache
def _circle(count: int) -> np.ndarray:
    angle = np.linspace(0.0, 2 * np.pi, count, endpoint=False)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def ellipse(x: float, y: float, rx: float, ry: float, turn: float = 0.0, count: int = 28) -> np.ndarray:
    """Closed ellipse around (x, y), turned by `turn` radians."""
    points = _circle(count) * (rx, ry)
    if turn:
        c, s = np.cos(turn), np.sin(turn)
        points = points @ np.array([[c, s], [-s, c]])
    return points + (x, y)


def box(x0: float, y0: float, x1: float, y1: float) -> np.ndarray:
    """Upright rectangle between two corners."""
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])


def polygon(*points: tuple[float, float]) -> np.ndarray:
    """Closed polygon through the given corners."""
    return np.array(points)


def rounded(x0: float, y0: float, x1: float, y1: float, radius: float) -> np.ndarray:
    """Rectangle with round corners."""
    arc = _circle(24) * radius
    corners = ((x1, y1, 0), (x0, y1, 6), (x0, y0, 12), (x1, y0, 18))
    inset = ((-1, -1), (1, -1), (1, 1), (-1, 1))
    pieces = [
        np.take(arc, range(start, start + 7), axis=0, mode="wrap") + (x + sx * radius, y + sy * radius)
        for (x, y, start), (sx, sy) in zip(corners, inset, strict=True)
    ]
    return np.concatenate(pieces)


def limb(start: tuple[float, float], end: tuple[float, float], width: float) -> np.ndarray:
    """A thick line with round ends (an arm, a leg, a stalk)."""
    a, b = np.asarray(start, dtype=float), np.asarray(end, dtype=float)
    direction = (b - a) / max(float(np.hypot(*(b - a))), 1e-6)
    turn = float(np.arctan2(direction[1], direction[0]))
    half = _circle(20) * (width / 2)
    c, s = np.cos(turn), np.sin(turn)
    half = half @ np.array([[c, s], [-s, c]])
    front = np.take(half, range(-5, 6), axis=0, mode="wrap") + b
    back = np.take(half, range(5, 16), axis=0, mode="wrap") + a
    return np.concatenate([front, back])


def shade(colour: RGB, factor: float) -> RGB:
    """The colour made darker (factor below 1) or lighter (above 1: mixed towards white)."""
    if factor <= 1.0:
        r, g, b = (int(c * factor) for c in colour)
    else:
        share = min(factor - 1.0, 1.0)
        r, g, b = (int(c + (255 - c) * share) for c in colour)
    return r, g, b


def against(colour: RGB, dark: RGB, light: RGB) -> RGB:
    """The one of two colours that shows on the given one."""
    return light if 0.3 * colour[0] + 0.59 * colour[1] + 0.11 * colour[2] < 112 else dark
