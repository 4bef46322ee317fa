"""What is in a scene and where: setting, objects, colours, places."""

from __future__ import annotations

from bisect import bisect
from dataclasses import dataclass, replace
from itertools import accumulate

import numpy as np

from armature.toyworld.objects import CATALOG, pool
from armature.toyworld.palette import COLOUR_NAMES, GROUNDS, STYLES, TIMES

MOST_OBJECTS = 5
# Colours that a ground nearly has itself: half as common there.
_CAMOUFLAGE = {"grass": "green", "snow": "white", "street": "grey", "water": "blue", "sand": "yellow"}

# An object that would hide more than this of others, or be hidden, is drawn smaller.
_CROWDED, _HOPELESS = 0.4, 0.65


@dataclass(frozen=True)
class Placed:
    """One object of a scene.

    name: class. colour: one of palette.COLOURS. x, base: where it stands, pixels (the middle, its lowest point).
    height: pixels. distance: 0 at the horizon, 1 at the nearest ground; what the depth map shows for the whole object.
    group: objects of one group share class and colour ("two red balls"). stretch: how much wider than usual it is
    drawn for its height. facing: 1 looks to the right, -1 to the left. seed: of its shape's own details.
    """

    name: str
    colour: str
    x: float
    base: float
    height: float
    distance: float
    group: int
    stretch: float = 1.0
    facing: int = 1
    seed: int = 0

    @property
    def width(self) -> float:
        """About how wide it is, pixels."""
        return 2 * CATALOG[self.name].half_width * self.height * self.stretch


@dataclass(frozen=True)
class Disc:
    """A cloud, or the sun or moon: middle and size in pixels. A cloud is about 0.26 of its size wide."""

    x: float
    y: float
    size: float


@dataclass(frozen=True)
class Plan:
    """A scene before it is drawn: ground, time and style names, horizon in pixels, objects far to near.

    light: the sun, or the moon at night. clouds: those in the sky. hills: whether hills, or houses of a town, stand at
    the horizon. seed: of the backdrop's own details.
    """

    size: int
    ground: str
    time: str
    style: str
    horizon: float
    objects: tuple[Placed, ...]
    light: Disc | None = None
    clouds: tuple[Disc, ...] = ()
    hills: bool = False
    seed: int = 0


def draw(rng: np.random.Generator, options: tuple, shares: tuple[float, ...]):
    """One of the options; shares: how often each comes, summing to 1."""
    return options[min(bisect(tuple(accumulate(shares)), rng.random()), len(options) - 1)]


def plan_scene(rng: np.random.Generator, size: int) -> Plan:
    """Draw the contents of a scene of size x size pixels from the generator."""
    ground = draw(rng, GROUNDS, (0.32, 0.15, 0.15, 0.2, 0.18))
    time = draw(rng, TIMES, (0.5, 0.18, 0.18, 0.14))
    style = draw(rng, STYLES, (0.28, 0.22, 0.17, 0.15, 0.18))
    count = draw(rng, (1, 2, 3, 4, 5), (0.32, 0.27, 0.22, 0.11, 0.08))
    groups = _groups(rng, ground, count)
    swims = any(CATALOG[name].swims for name, _, _ in groups)
    horizon = size * _horizon(rng, swims)
    kinds = [(name, colour, group) for group, (name, colour, copies) in enumerate(groups) for _ in range(copies)]
    # The widest choose their places first.
    kinds.sort(key=lambda kind: -CATALOG[kind[0]].height * CATALOG[kind[0]].half_width)
    if count == 1 and rng.random() < 0.45:
        objects = [_large(rng, *kinds[0], size, horizon)]
    else:
        objects = _arranged(rng, kinds, size, horizon)
    objects.sort(key=lambda thing: thing.distance)
    light, clouds, hills = _weather(rng, time, size, horizon)
    return Plan(
        size, ground, time, style, horizon, tuple(objects), light, clouds, hills, int(rng.integers(1 << 31))
    )  # fmt: skip


def _horizon(rng: np.random.Generator, swims: bool) -> float:
    """As a share of the side. Fish want much water; the usual line is a little below the middle."""
    if swims:
        return rng.uniform(0.2, 0.42)
    return rng.uniform(0.50, 0.62) if rng.random() < 0.6 else rng.uniform(0.36, 0.74)


def _groups(rng: np.random.Generator, ground: str, count: int) -> list[tuple[str, str, int]]:
    """Split `count` objects into groups of equal class and colour; no class stands in two groups."""
    names, shares = pool(ground)
    groups: list[tuple[str, str, int]] = []
    taken: set[str] = set()
    while count:
        copies = min(count, draw(rng, (1, 2, 3, 4, 5), (0.70, 0.15, 0.08, 0.045, 0.025)))
        name = names[bisect(shares, rng.random())]
        while name in taken:
            name = names[bisect(shares, rng.random())]
        taken.add(name)
        groups.append((name, _colour(rng, name, ground), copies))
        count -= copies
    return groups


def _colour(rng: np.random.Generator, name: str, ground: str) -> str:
    if name == "tree" and rng.random() < 0.45:
        return "green"
    if name == "elephant" and rng.random() < 0.3:
        return "grey"
    colour = COLOUR_NAMES[rng.integers(len(COLOUR_NAMES))]
    if colour == _CAMOUFLAGE[ground] and rng.random() < 0.5:
        colour = COLOUR_NAMES[rng.integers(len(COLOUR_NAMES))]
    return colour


def _stretch(rng: np.random.Generator, name: str) -> float:
    """Mostly as usual; one in four is narrower or wider."""
    low, high = CATALOG[name].stretch
    return rng.uniform(low, high) if rng.random() < 0.25 else 1.0


def _large(rng: np.random.Generator, name: str, colour: str, group: int, size: int, horizon: float) -> Placed:
    """One object that fills much of the picture, up to the whole of its side; some are cut off by the border."""
    stretch = _stretch(rng, name)
    half = CATALOG[name].half_width * stretch
    cut = 0.12 * rng.random() if rng.random() < 0.3 and name != "person" else 0.0
    height = rng.uniform(0.6, 0.94 + 3 * cut) * size / max(_reach(name), 2 * half)
    head = _reach(name) * height
    slack = max(0.0, size / 2 - half * height)
    x = size / 2 + rng.uniform(-1, 1) * (slack + cut * 2 * half * height)
    if CATALOG[name].airborne:
        base = size / 2 + height / 2 + rng.uniform(-1, 1) * (size - height) / 2 * 0.8
    else:
        lowest = (0.99 + cut) * size
        base = rng.uniform(min(max(horizon + 0.08 * size, head + (0.02 - cut) * size), lowest), lowest)
    # What is large is near.
    near = rng.uniform(0.6, 0.9) if CATALOG[name].airborne else _nearness(base, size, horizon)
    return Placed(name, colour, x, base, height, near, group, stretch, _facing(rng), int(rng.integers(1 << 31)))


def _reach(name: str) -> float:
    """How high it may reach over its foot, in its heights: people raise their hands."""
    return 1.1 if name == "person" else 1.0


def _nearness(base: float, size: int, horizon: float) -> float:
    """0 at the horizon, 1 where the ground is nearest."""
    return min(1.0, max(0.0, ((base - horizon) / (0.965 * size - horizon) - 0.10) / 0.90))


def _facing(rng: np.random.Generator) -> int:
    return 1 if rng.random() < 0.5 else -1


def _arranged(rng: np.random.Generator, kinds: list[tuple[str, str, int]], size: int, horizon: float) -> list[Placed]:
    """Places for all objects, each where it hides least of what stands already; crowded scenes are drawn smaller."""
    grow = (1.25, 1.08, 0.94, 0.84, 0.78)[len(kinds) - 1]
    # A crowd looks less carefully for a free place, so that things overlap.
    tries = 2 if rng.random() < 0.2 else 9
    sizes: dict[int, tuple[float, float]] = {}
    for name, _, group in kinds:
        if group not in sizes:
            scale = draw(rng, (1.0, 0.5, 1.4), (0.70, 0.13, 0.17)) * rng.uniform(0.9, 1.15)
            sizes[group] = (scale, _stretch(rng, name))
    placed: list[Placed] = []
    for name, colour, group in kinds:
        scale, stretch = sizes[group]
        facing, seed = _facing(rng), int(rng.integers(1 << 31))
        best, hidden = _freest(rng, placed, tries, name, colour, group, size, horizon, grow * scale, stretch)
        shrink = 1.0
        while hidden > _CROWDED and shrink > 0.4:
            shrink *= 0.85
            again = _freest(rng, placed, 12, name, colour, group, size, horizon, grow * scale * shrink, stretch)
            best, hidden = min((best, hidden), again, key=lambda found: found[1])
        if hidden > _HOPELESS:
            # There is no room left for it: the scene has one thing less.
            continue
        placed.append(replace(best, facing=facing, seed=seed))
    return placed


def _freest(
    rng: np.random.Generator,
    placed: list[Placed],
    tries: int,
    name: str,
    colour: str,
    group: int,
    size: int,
    horizon: float,
    grow: float,
    stretch: float,
) -> tuple[Placed, float]:
    """The best of some places for an object, and how crowded it is there."""
    options = [
        _candidate(name, colour, group, size, horizon, grow, stretch, at) for at in rng.random((tries, 4)).tolist()
    ]
    crowds = [_crowding(option, placed) for option in options]
    best = min(range(tries), key=crowds.__getitem__)
    return options[best], crowds[best]


def _candidate(
    name: str, colour: str, group: int, size: int, horizon: float, grow: float, stretch: float, at: list[float]
) -> Placed:
    """An object at one of the places where it could stand; at: four numbers 0..1 that choose it."""
    kind = CATALOG[name]
    distance = 0.06 + 0.90 * at[0]
    height = size * kind.height * grow * (0.74 + 0.32 * distance) * (0.92 + 0.16 * at[1])
    wide = 2 * kind.half_width * stretch
    # Large enough to be seen for what it is, small enough for the picture.
    height = max(height, 0.15 * size / max(wide, 1.0) ** 0.5)
    height = min(height, 0.9 * size / _reach(name), 0.94 * size / wide)
    half = wide * height / 2
    # One place in six reaches over the border a little.
    beyond = 0.2 * half if at[3] < 0.16 and name != "person" else -2.0
    x = half - beyond + at[2] * (size - 2 * half + 2 * beyond)
    if kind.airborne:
        lowest = max(0.7 * size, height + 0.04 * size)
        highest = height + 0.02 * size
        base = highest + (lowest - highest) * at[0]
        distance = 0.15 + 0.7 * at[1]
    else:
        base = horizon + (size * 0.965 - horizon) * (0.10 + 0.90 * distance)
        if kind.swims:
            base = min(max(base, horizon + height * 1.04), 0.98 * size)
            distance = _nearness(base, size, horizon)
        # Nothing that stands loses its head at the upper border.
        base = min(max(base, _reach(name) * height + 0.01 * size), 0.99 * size)
    return Placed(name, colour, x, base, height, distance, group, stretch)


def _crowding(one: Placed, others: list[Placed]) -> float:
    """How much of an object, or of those that stand already, would be hidden: shares of the smaller box, summed."""
    total = 0.0
    left, right, top = one.x - one.width / 2, one.x + one.width / 2, one.base - one.height
    for other in others:
        wide = min(right, other.x + other.width / 2) - max(left, other.x - other.width / 2)
        high = min(one.base, other.base) - max(top, other.base - other.height)
        if wide > 0 and high > 0:
            share = wide * high / min(one.width * one.height, other.width * other.height)
            # Things of one colour run together where they meet, and could not be counted.
            total += 3 * share if one.group == other.group else share
    return total


def _weather(
    rng: np.random.Generator, time: str, size: int, horizon: float
) -> tuple[Disc | None, tuple[Disc, ...], bool]:
    """Sun or moon, clouds and hills. A sky too low for them stays empty, but for an overcast one's cloud."""
    hills = bool(rng.random() < 0.6)
    low = horizon < 0.32 * size
    radius = rng.uniform(0.055, 0.08) * size
    x, y = rng.uniform(0.1, 0.9) * size, rng.uniform(0.1, min(0.22, 0.6 * horizon / size)) * size
    light = None
    if time == "night" or (time == "day" and not low and rng.random() < 0.7):
        light = Disc(x, y, radius)
    elif time == "sunset":
        light = Disc(x, horizon - rng.uniform(0.02, 0.14) * size, radius * 1.3)
    count = int(time == "overcast")
    if time == "overcast" or (time == "day" and not low):
        count += int(rng.integers(0, 3))
    clouds = tuple(
        Disc(
            rng.uniform(0.08, 0.92) * size,
            rng.uniform(0.07, 0.26) * size * min(1.0, 2 * horizon / size),
            size * rng.uniform(0.8, 1.2) * (0.7 if low else 1.0),
        )
        for _ in range(count)
    )
    return light, clouds, hills
