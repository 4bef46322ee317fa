"""Where things are, in the picture and to each other, and what is not there: what a plan allows captions to say."""

from __future__ import annotations

from itertools import permutations

import numpy as np

from armature.toyworld.layout import Placed, Plan
from armature.toyworld.objects import CATALOG
from armature.toyworld.palette import OBJECTS
from armature.toyworld.words import NOUNS

# Shares of the side. Things left of LEFT are on the left, right of RIGHT on the right, from MIDDLE to 1 - MIDDLE in the
# middle; one thing is left of another when their middles are at least APART from each other.
LEFT, RIGHT, MIDDLE, APART = 0.38, 0.62, 0.42, 0.15


def position(members: list[Placed], plan: Plan, rng: np.random.Generator) -> str:
    """ " on the left", " on the right", " in the middle", " in the sky", or nothing when none of them holds of all."""
    places = [thing.x / plan.size for thing in members]
    words = []
    wide = max(thing.width for thing in members) > 0.62 * plan.size
    if max(places) < LEFT and not wide:
        words.append(" on the left")
    if min(places) > RIGHT and not wide:
        words.append(" on the right")
    if len(members) == 1 and MIDDLE < places[0] < 1 - MIDDLE:
        words.append(" in the middle")
    if all(CATALOG[thing.name].airborne and thing.base - thing.height / 2 < plan.horizon for thing in members):
        words.append(" in the sky")
    return words[rng.integers(len(words))] if words else ""


def relation(
    groups: list[list[Placed]], plan: Plan, rng: np.random.Generator
) -> tuple[tuple[int, ...], tuple[str, ...]] | None:
    """Two or three groups of one thing each, and true words between them; None when there is nothing to say.

    The groups' numbers in the order of telling, and what to write after each of them: ((2, 0), (" left of ", "")).
    """
    single = [k for k, members in enumerate(groups) if len(members) == 1]
    found: list[tuple[tuple[int, ...], tuple[str, ...]]] = []
    for a, b in permutations(single, 2):
        words = _between_two(groups[a][0], groups[b][0], plan.size)
        if words:
            found.append(((a, b), (words[rng.integers(len(words))], "")))
    for a, b, c in permutations(single, 3):
        gap = APART * plan.size
        if groups[b][0].x + gap <= groups[a][0].x <= groups[c][0].x - gap:
            first, last = (b, c) if rng.random() < 0.5 else (c, b)
            found.append(((a, first, last), (" between ", " and ", "")))
    return found[rng.integers(len(found))] if found else None


def _between_two(one: Placed, other: Placed, size: int) -> list[str]:
    """What is true of one thing as seen from another."""
    words = []
    aside = (other.x - one.x) / size
    if aside >= APART:
        words += [" left of ", " to the left of "]
    if aside <= -APART:
        words += [" right of ", " to the right of "]
    narrow = min(one.width, other.width)
    shared = (one.width + other.width) / 2 - abs(one.x - other.x)
    hanging = [CATALOG[thing.name].airborne for thing in (one, other)]
    if hanging == [True, False] and one.base <= other.base - other.height and shared > 0:
        words += [" above ", " over "]
    if hanging == [False, True] and other.base <= one.base - one.height and shared > 0:
        words.append(" under ")
    if not any(hanging):
        if shared > 0.3 * narrow and one.distance > other.distance + 0.08:
            words.append(" in front of ")
        if shared > 0.3 * narrow and one.distance < other.distance - 0.08:
            words.append(" behind ")
        if -0.25 * size < shared < 0.2 * narrow and abs(one.base - other.base) < 0.25 * size:
            words += [" next to ", " beside "]
    return words


def without(plan: Plan, rng: np.random.Generator) -> str:
    """The plural of something that the scene has none of: a class of things, clouds, hills or the sun."""
    absent = [name for name in OBJECTS if all(thing.name != name for thing in plan.objects)]
    if plan.ground == "street" and plan.hills:
        # The far side of the street is built up.
        absent = [name for name in absent if name not in ("house", "castle")]
    chance = rng.random()
    if chance < 0.3 and not plan.clouds:
        return "clouds"
    if chance < 0.38 and not plan.hills and plan.ground != "street":
        return "hills"
    if chance < 0.44 and plan.light is None:
        return "sun"
    for name, share in (("person", 0.6), ("tree", 0.72), ("house", 0.8)):
        if chance < share and name in absent:
            return NOUNS[name][0][1]
    return NOUNS[absent[rng.integers(len(absent))]][0][1]
