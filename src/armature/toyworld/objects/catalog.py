"""One record a class of thing: how it is drawn, how large it usually is, where it may stand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np

from armature.toyworld.objects.animals import bird, butterfly, cat, dog, elephant, fish, horse
from armature.toyworld.objects.buildings import castle, house
from armature.toyworld.objects.plants import flower, mushroom, tree
from armature.toyworld.objects.toys import ball, snowman
from armature.toyworld.objects.vehicles import balloon, boat, car, plane, rocket, train
from armature.toyworld.palette import GROUNDS, OBJECTS, RGB
from armature.toyworld.shapes import Part

Builder = Callable[[np.random.Generator, RGB, bool], list[Part]]
LAND: tuple[str, ...] = ("grass", "sand", "snow", "street")


@dataclass(frozen=True)
class Kind:
    """A class of things.

    build(rng, colour, night): the parts, back to front, in unit space, facing right; None for people, who are drawn
    along their joints (person.py). height: usual height when it stands nearest to the eye, as a share of the picture's
    side. half_width: in unit space, for layout. grounds: where it may be. airborne: hangs in the sky. swims: lies in
    the water, not on it. stretch: how much narrower and wider than usual it may be drawn. weight: how often it comes.
    """

    build: Builder | None
    height: float
    half_width: float
    grounds: tuple[str, ...] = LAND
    airborne: bool = False
    swims: bool = False
    stretch: tuple[float, float] = (0.8, 1.25)
    weight: float = 1.0


CATALOG: dict[str, Kind] = {
    "house": Kind(house, 0.52, 0.62, stretch=(0.65, 1.5), weight=1.6),
    "tree": Kind(tree, 0.56, 0.38, stretch=(0.65, 1.4), weight=1.6),
    "boat": Kind(boat, 0.46, 0.54, ("water", "sand"), stretch=(0.75, 1.4), weight=1.3),
    "car": Kind(car, 0.29, 0.88, stretch=(0.75, 1.3), weight=1.3),
    "ball": Kind(ball, 0.27, 0.5, GROUNDS, stretch=(1.0, 1.0), weight=0.9),
    "cat": Kind(cat, 0.40, 0.46, weight=1.2),
    "bird": Kind(bird, 0.34, 0.76, GROUNDS, weight=0.9),
    "person": Kind(None, 0.58, 0.3, stretch=(0.9, 1.15), weight=3.2),
    "flower": Kind(flower, 0.44, 0.38),
    "mushroom": Kind(mushroom, 0.36, 0.52, stretch=(0.7, 1.3)),
    "balloon": Kind(balloon, 0.46, 0.38, GROUNDS, airborne=True, weight=0.75),
    "rocket": Kind(rocket, 0.50, 0.38, GROUNDS, airborne=True, weight=0.75),
    "dog": Kind(dog, 0.38, 0.66, weight=1.2),
    "horse": Kind(horse, 0.46, 0.66),
    "elephant": Kind(elephant, 0.42, 0.84),
    "fish": Kind(fish, 0.28, 0.86, ("water",), swims=True, weight=1.6),
    "butterfly": Kind(butterfly, 0.30, 0.56, GROUNDS, airborne=True, weight=0.75),
    "train": Kind(train, 0.32, 0.98, stretch=(0.8, 1.2)),
    "plane": Kind(plane, 0.25, 0.98, GROUNDS, airborne=True, weight=0.75),
    "castle": Kind(castle, 0.54, 0.60, stretch=(0.7, 1.35)),
    "snowman": Kind(snowman, 0.46, 0.44),
}


@cache
def pool(ground: str) -> tuple[tuple[str, ...], tuple[float, ...]]:
    """The classes that may be in a scene of this ground, and the cumulated shares by which they come."""
    names = tuple(name for name in OBJECTS if ground in CATALOG[name].grounds)
    weights = np.array([CATALOG[name].weight * _liking(name, ground) for name in names])
    return names, tuple(float(share) for share in np.cumsum(weights) / weights.sum())


def _liking(name: str, ground: str) -> float:
    """Some grounds are for some things."""
    if (name, ground) in (("boat", "water"), ("snowman", "snow")):
        return 2.5
    return 0.5 if name == "snowman" or (name == "boat" and ground == "sand") else 1.0
