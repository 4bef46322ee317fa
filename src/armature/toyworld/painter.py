"""Painting of one object: its parts, where and how large the plan wants them."""

from __future__ import annotations

import numpy as np

from armature.toyworld.canvas import Canvas
from armature.toyworld.layout import Placed
from armature.toyworld.objects import CATALOG
from armature.toyworld.palette import COLOURS
from armature.toyworld.person import person, pose
from armature.toyworld.shapes import Part, ellipse
from armature.toyworld.style import Look

# A part narrower than this, in pixels of a 128-pixel scene, has no place in a sketch; a detail has one from here on.
_LEAST_SKETCHED, _LEAST_DETAIL = 3.0, 5.0


def object_parts(thing: Placed, night: bool) -> tuple[list[Part], np.ndarray | None]:
    """The parts of an object in unit space, and a person's (18, 2) joints; both follow from the plan alone."""
    rng = np.random.default_rng(thing.seed)
    colour = COLOURS[thing.colour]
    build = CATALOG[thing.name].build
    if build is not None:
        return build(rng, colour, night), None
    joints = pose(rng)
    return person(rng, colour, joints), joints


def paint_object(canvas: Canvas, thing: Placed, owner: int, look: Look) -> np.ndarray | None:
    """Paint one object with its shadow into picture and maps; returns a person's joints in pixels."""
    parts, joints = object_parts(thing, look.time == "night")
    outlines = _placed(parts, thing, look, canvas.size)
    scale = canvas.size / 128
    if look.style == "paper":
        canvas.darken([points + canvas.size * 0.014 for points in outlines], 0.72)
    elif not (CATALOG[thing.name].airborne or CATALOG[thing.name].swims):
        wide = max(float(points[:, 0].max() - points[:, 0].min()) for points in outlines) * 0.5
        canvas.darken([ellipse(thing.x, thing.base, wide * 1.05, canvas.size * 0.016)], 0.8)
    for part, points in zip(parts, outlines, strict=True):
        surface = look.surface(part.colour, part.glow)
        if part.seam:
            canvas.melt(points, surface, owner)
            continue
        contour, width = look.contour(part.colour)
        low, high = points.min(0), points.max(0)
        narrow = min(high[0] - low[0], high[1] - low[1]) < (_LEAST_DETAIL if part.detail else _LEAST_SKETCHED) * scale
        canvas.fill(
            points,
            surface,
            owner,
            outline=contour,
            outline_width=width * (0.6 if part.detail else 1.0) * scale,
            detail=bool(narrow),
        )
    return None if joints is None else joints * (thing.height * thing.stretch, -thing.height) + (thing.x, thing.base)


def _placed(parts: list[Part], thing: Placed, look: Look, size: int) -> list[np.ndarray]:
    """Outlines in pixels: stretched, mirrored to the side it faces, and shaken where crayons are used."""
    # People are drawn along joints whose left and right are theirs; they are never mirrored.
    mirror = thing.facing if CATALOG[thing.name].build is not None else 1
    factor = np.array([thing.height * mirror, -thing.height])
    outlines = []
    for part in parts:
        points = part.points
        if thing.stretch != 1.0:
            if part.rigid:
                middle = (points[:, 0].max() + points[:, 0].min()) / 2
                points = points + (middle * (thing.stretch - 1), 0)
            else:
                points = points * (thing.stretch, 1)
        outlines.append(points * factor + (thing.x, thing.base))
    if look.wobble:
        shaken = np.random.default_rng(thing.seed).normal(
            0, look.wobble * size / 128, size=(sum(len(o) for o in outlines), 2)
        )
        ends = np.cumsum([len(points) for points in outlines])
        outlines = [points + shake for points, shake in zip(outlines, np.split(shaken, ends[:-1]), strict=True)]
    return outlines
