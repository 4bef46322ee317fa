"""Captions in varied natural wording, true to the scene."""

from __future__ import annotations

import numpy as np

from armature.toyworld.layout import Placed, Plan
from armature.toyworld.objects import AIRBORNE

_WORDS: dict[str, tuple[tuple[str, str], ...]] = {
    "house": (("house", "houses"), ("house", "houses"), ("cottage", "cottages"), ("home", "homes")),
    "tree": (("tree", "trees"),),
    "boat": (("boat", "boats"), ("boat", "boats"), ("sailboat", "sailboats")),
    "car": (("car", "cars"),),
    "ball": (("ball", "balls"),),
    "cat": (("cat", "cats"), ("cat", "cats"), ("kitten", "kittens")),
    "bird": (("bird", "birds"),),
    "person": (("person", "people"), ("person", "people"), ("child", "children"), ("figure", "figures")),
    "flower": (("flower", "flowers"),),
    "mushroom": (("mushroom", "mushrooms"), ("mushroom", "mushrooms"), ("toadstool", "toadstools")),
    "balloon": (("balloon", "balloons"), ("hot air balloon", "hot air balloons")),
    "rocket": (("rocket", "rockets"),),
}
_GROUND: dict[str, tuple[str, ...]] = {
    "grass": ("on grass", "on the grass", "on a meadow", "on a green lawn"),
    "sand": ("on sand", "on the sand", "on a beach"),
    "snow": ("on snow", "in the snow", "in a snowy field"),
    "water": ("on water", "on a lake", "on the sea"),
    "street": ("on a street", "on a road", "in a town"),
}
_TIME: dict[str, tuple[str, ...]] = {
    "day": ("by day", "under a blue sky", "on a sunny day"),
    "sunset": ("at sunset", "in the evening", "under an orange sky"),
    "night": ("at night", "under the moon", "under a starry sky"),
    "overcast": ("under a grey sky", "on a cloudy day", "in dull weather"),
}
_STYLE: dict[str, tuple[str, ...]] = {
    "flat": ("flat colours", "a flat picture", "vector art"),
    "outlined": ("with dark outlines", "a cartoon", "comic style"),
    "pastel": ("in pastel colours", "a pastel picture", "soft pastel"),
    "crayon": ("a crayon drawing", "drawn with crayons", "crayon style"),
    "paper": ("a paper cut-out", "cut from paper", "paper collage"),
}
_NUMBERS = {1: ("a", "one"), 2: ("two", "a pair of"), 3: ("three",), 4: ("four",)}


def caption(plan: Plan, rng: np.random.Generator) -> str:
    """One sentence that names every object (classes, nearly always colours) and often place, hour and style."""
    groups: dict[int, list[Placed]] = {}
    for thing in plan.objects:
        groups.setdefault(thing.group, []).append(thing)
    phrases = [_noun(members, rng) + _position(members, plan, rng) for members in groups.values()]
    rng.shuffle(phrases)
    text = _join(phrases, rng)
    # Without a ground in words, objects still stand on something: the reader is left to imagine it.
    if rng.random() < 0.88:
        text += " " + _pick(_GROUND[plan.ground], rng)
    if rng.random() < (0.35 if plan.time == "day" else 0.85):
        text += " " + _pick(_TIME[plan.time], rng)
    if rng.random() < 0.6:
        style = _pick(_STYLE[plan.style], rng)
        if style.startswith("a ") and rng.random() < 0.5:
            return f"{style} of {text}"
        text += f", {style}"
    return text


def _noun(members: list[Placed], rng: np.random.Generator) -> str:
    singular, plural = _pick(_WORDS[members[0].name], rng)
    colour = f"{members[0].colour} " if rng.random() < 0.95 else ""
    number = _pick(_NUMBERS[len(members)], rng) if rng.random() < 0.8 else _NUMBERS[len(members)][0]
    noun = singular if len(members) == 1 else plural
    if number == "a" and (colour + noun)[0] in "aeiou":
        number = "an"
    return f"{number} {colour}{noun}"


def _position(members: list[Placed], plan: Plan, rng: np.random.Generator) -> str:
    if len(members) != 1 or rng.random() < 0.7:
        return ""
    x = members[0].x / plan.size
    if x < 0.36:
        return " on the left"
    if x > 0.64:
        return " on the right"
    if 0.43 < x < 0.57:
        return " in the middle"
    if members[0].name in AIRBORNE:
        return " in the sky"
    return ""


def _join(phrases: list[str], rng: np.random.Generator) -> str:
    if len(phrases) == 1:
        return phrases[0]
    if len(phrases) == 2:
        return phrases[0] + _pick((" and ", " and ", " with ", " next to ", " beside "), rng) + phrases[1]
    return ", ".join(phrases[:-1]) + " and " + phrases[-1]


def _pick(options: tuple, rng: np.random.Generator):
    return options[rng.integers(len(options))]
