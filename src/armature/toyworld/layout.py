"""What is in a scene and where: setting, objects, colours, places."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from armature.toyworld.objects import AFLOAT, AIRBORNE, ASHORE, HALF_WIDTHS, HEIGHTS
from armature.toyworld.palette import COLOUR_NAMES, GROUNDS, STYLES, TIMES


@dataclass(frozen=True)
class Placed:
    """One object of a scene.

    name: class. colour: one of palette.COLOURS. x, base: where it stands, pixels. height: pixels.
    distance: 0 at the horizon, 1 at the nearest ground; what the depth map shows for the whole object.
    group: objects of one group share class and colour ("two red balls").
    """

    name: str
    colour: str
    x: float
    base: float
    height: float
    distance: float
    group: int


@dataclass(frozen=True)
class Plan:
    """A scene before it is drawn: ground, time and style names, horizon in pixels, objects far to near."""

    size: int
    ground: str
    time: str
    style: str
    horizon: float
    objects: tuple[Placed, ...]


def plan_scene(rng: np.random.Generator, size: int) -> Plan:
    """Draw the contents of a scene of size x size pixels from the generator."""
    ground = GROUNDS[rng.choice(len(GROUNDS), p=(0.32, 0.17, 0.15, 0.18, 0.18))]
    time = TIMES[rng.choice(len(TIMES), p=(0.48, 0.18, 0.2, 0.14))]
    style = STYLES[rng.choice(len(STYLES), p=(0.28, 0.22, 0.17, 0.15, 0.18))]
    horizon = size * rng.uniform(0.50, 0.62)
    count = int(rng.choice((1, 2, 3, 4), p=(0.26, 0.36, 0.26, 0.12)))
    names = [
        (name, colour, group)
        for group, (name, colour, copies) in enumerate(_groups(rng, ground, count))
        for _ in range(copies)
    ]
    order = rng.permutation(len(names))
    places = _places(rng, [names[i][0] for i in order], size, horizon)
    objects = [Placed(names[i][0], names[i][1], *place, names[i][2]) for i, place in zip(order, places, strict=True)]
    objects.sort(key=lambda o: o.distance)
    return Plan(size, ground, time, style, horizon, tuple(objects))


def _groups(rng: np.random.Generator, ground: str, count: int) -> list[tuple[str, str, int]]:
    """Split `count` objects into groups of equal class and colour; no class stands in two groups."""
    pool = list(AFLOAT if ground == "water" else ASHORE if ground != "sand" else (*ASHORE, "boat"))
    if ground == "water":
        # Mostly boats: that is what water is for.
        pool = [*pool, "boat", "boat"]
    groups: list[tuple[str, str, int]] = []
    while count:
        copies = min(count, int(rng.choice((1, 2, 3), p=(0.78, 0.17, 0.05))))
        name = pool[rng.integers(len(pool))]
        pool = [other for other in pool if other != name]
        colour = COLOUR_NAMES[rng.integers(len(COLOUR_NAMES))]
        if name == "tree" and rng.random() < 0.5:
            colour = "green"
        groups.append((name, colour, copies))
        count -= copies
    return groups


def _places(
    rng: np.random.Generator, names: list[str], size: int, horizon: float
) -> list[tuple[float, float, float, float]]:
    """(x, base, height, distance) of each object, left to right in slots with some jitter, so that overlaps occur."""
    count = len(names)
    grow = {1: 1.25, 2: 1.05, 3: 0.88, 4: 0.78}[count]
    slot = 1.0 / count
    crowd = 0.78 if count > 1 and rng.random() < 0.25 else 1.0
    places = []
    for index, name in enumerate(names):
        middle = (index + 0.5) * slot + rng.uniform(-0.2, 0.2) * slot
        middle = 0.5 + (middle - 0.5) * crowd
        distance = float(rng.uniform(0.15, 0.85))
        height = size * HEIGHTS[name] * grow * (0.74 + 0.32 * distance) * rng.uniform(0.92, 1.08)
        room = (slot * 1.25 if count > 1 else 0.8) * size / (2 * HALF_WIDTHS[name])
        height = min(height, room)
        half = HALF_WIDTHS[name] * height
        x = float(np.clip(middle * size, half + 2, size - half - 2))
        if name in AIRBORNE:
            base = max(float(rng.uniform(0.52, 0.66)) * size, height + 0.04 * size)
        else:
            base = horizon + (size * 0.965 - horizon) * (0.10 + 0.90 * distance)
        places.append((x, base, height, distance))
    return places
