"""Captions in varied natural wording, from one word to a long sentence; all they say is true of the scene."""

from __future__ import annotations

import numpy as np

from armature.toyworld.layout import Placed, Plan
from armature.toyworld.objects import CATALOG
from armature.toyworld.relations import position, relation, without
from armature.toyworld.words import BIG, CLEAR, GROUND, NOUNS, NUMBERS, SMALL, STYLE, SUNNY, TIME

# Words and commas of the longest caption: with both ends they fit the text encoder's 40 tokens.
LONGEST = 36
# A thing of at least, or at most, so many times its usual height is called big or small.
BIG_FROM, SMALL_UP_TO = 1.25, 0.62
# From these stretches on a thing is called tall (narrow, rather) or wide; long and short for what drives.
TALL_UP_TO, WIDE_FROM = 0.82, 1.2
_TALL = frozenset({"house", "tree", "castle", "boat", "mushroom"})
_LONG = frozenset({"car", "train"})


def caption(plan: Plan, rng: np.random.Generator) -> str:
    """One caption that names every object of the plan, and nothing that is not there unless to say so.

    One in five is a bare list of what stands there ("house", "a cat and two trees"). The others nearly always give
    colours, and often numbers, sizes, sides, ground, hour, style, and what there is none of.
    """
    by_group: dict[int, list[Placed]] = {}
    for thing in plan.objects:
        by_group.setdefault(thing.group, []).append(thing)
    groups = list(by_group.values())
    groups = [groups[k] for k in rng.permutation(len(groups))]
    if rng.random() < (0.28 if len(groups) == 1 else 0.12):
        return _bare(groups, plan, rng)
    long = rng.random() < 0.35
    text = _objects(groups, plan, rng, long)
    if _length(text) > LONGEST - 4:
        # Room for the style that may come before it.
        text = _join([_noun(members, plan, rng, 0.0) for members in groups], rng)
    style = _pick(STYLE[plan.style], rng) if rng.random() < 0.55 else ""
    if style.startswith("a ") and rng.random() < 0.5:
        text, style = f"{style} of {text}", ""
    # Without a ground in words, objects still stand on something: the reader is left to imagine it.
    pieces = [" " + _ground(plan, rng)] if rng.random() < 0.85 else []
    if rng.random() < (0.35 if plan.time == "day" else 0.85):
        pieces.append(" " + _pick(_hours(plan), rng))
    if rng.random() < (0.5 if long else 0.12):
        pieces += _sights(plan, rng)
    if rng.random() < (0.45 if long else 0.14):
        pieces.append(_pick((" without {}", ", no {}", ", no {}"), rng).format(without(plan, rng)))
    if style:
        pieces.append(f", {style}")
    while _length(text + "".join(pieces)) > LONGEST:
        pieces.pop(int(rng.integers(len(pieces))))
    return text + "".join(pieces)


def _length(text: str) -> int:
    return len(text.replace(",", " ,").split())


def _bare(groups: list[list[Placed]], plan: Plan, rng: np.random.Generator) -> str:
    """As people type in a hurry: "house", "a red boat", "cat, tree", "three trees and a house"."""
    article, colour = rng.random() < 0.55, rng.random() < 0.35
    phrases = []
    for members in groups:
        singular, plural = _pick(NOUNS[members[0].name], rng)
        noun = singular if len(members) == 1 else plural
        if colour and members[0].name != "snowman":
            noun = f"{members[0].colour} {noun}"
        if article or (len(members) > 1 and rng.random() < 0.5):
            noun = f"{_article(_pick(NUMBERS[len(members)], rng), noun)} {noun}"
        phrases.append(noun)
    text = ", ".join(phrases) if rng.random() < 0.4 else _join(phrases, rng)
    return text + (f", {_pick(STYLE[plan.style], rng)}" if rng.random() < 0.2 else "")


def _objects(groups: list[list[Placed]], plan: Plan, rng: np.random.Generator, long: bool) -> str:
    """All groups with their adjectives and places, two of them perhaps told by how they stand to each other."""
    # Five groups with every adjective would be longer than the text encoder reads.
    adjectives = 0.6 if len(groups) <= 3 else 0.25
    phrases = [_noun(members, plan, rng, adjectives) for members in groups]
    if len(groups) > 1 and rng.random() < (0.6 if long else 0.3):
        found = relation(groups, plan, rng)
        if found is not None:
            order, words = found
            told = "".join(phrases[k] + word for k, word in zip(order, words, strict=True))
            return _join([told, *(phrase for k, phrase in enumerate(phrases) if k not in order)], rng)
    placed = 0.55 if long and len(groups) <= 3 else 0.25
    phrases = [
        phrase + (position(members, plan, rng) if rng.random() < placed else "")
        for phrase, members in zip(phrases, groups, strict=True)
    ]
    return _join(phrases, rng)


def _noun(members: list[Placed], plan: Plan, rng: np.random.Generator, adjectives: float) -> str:
    """ "two small red cars"; every adjective holds of every member."""
    name, size = members[0].name, _size_word(members, plan, rng)
    singular, plural = _pick(NOUNS[name], rng)
    words = [size] if size and rng.random() < adjectives else []
    shape = _shape_word(members)
    if shape and rng.random() < adjectives:
        words.append(shape)
    coloured = rng.random() < 0.94
    if coloured and name != "snowman":
        words.append(members[0].colour)
    words.append(singular if len(members) == 1 else plural)
    if coloured and name == "snowman":
        hat = f"{members[0].colour} hat"
        words.append(f"with {_article('a', hat)} {hat}" if len(members) == 1 else f"with {hat}s")
    noun = " ".join(words)
    return f"{_article(_pick(NUMBERS[len(members)], rng), noun)} {noun}"


def _article(number: str, noun: str) -> str:
    return "an" if number == "a" and noun[0] in "aeiou" else number


def relative_size(thing: Placed, plan: Plan) -> float:
    """Height over the usual height of its class (Kind.height) in this picture."""
    return thing.height / (CATALOG[thing.name].height * plan.size)


def _size_word(members: list[Placed], plan: Plan, rng: np.random.Generator) -> str:
    sizes = [relative_size(thing, plan) for thing in members]
    if min(sizes) >= BIG_FROM:
        return _pick(BIG, rng)
    return _pick(SMALL, rng) if max(sizes) <= SMALL_UP_TO else ""


def _shape_word(members: list[Placed]) -> str:
    """Members of a group share their stretch."""
    name, stretch = members[0].name, members[0].stretch
    if name in _TALL:
        return "tall" if stretch <= TALL_UP_TO else "wide" if stretch >= WIDE_FROM else ""
    if name in _LONG:
        return "short" if stretch <= TALL_UP_TO else "long" if stretch >= WIDE_FROM else ""
    return ""


def _ground(plan: Plan, rng: np.random.Generator) -> str:
    """ "on a lake"; "over" it when all things hang in the air, "in" it when all swim."""
    words = _pick(GROUND[plan.ground], rng)
    kinds = [CATALOG[thing.name] for thing in plan.objects]
    rest = words.split(" ", 1)[1]
    if all(kind.airborne for kind in kinds) and rest != "winter":
        return f"over {rest}"
    return f"in {rest}" if all(kind.swims for kind in kinds) else words


def _hours(plan: Plan) -> tuple[str, ...]:
    """What may be said of hour and weather."""
    words = TIME[plan.time]
    if plan.time == "day" and not plan.clouds:
        words = (*words, CLEAR)
    if plan.time == "day" and plan.light is not None:
        words = (*words, SUNNY)
    return words


def _sights(plan: Plan, rng: np.random.Generator) -> list[str]:
    """What else there is to see: clouds, sun or moon, hills; only what no object hides."""
    found = []
    clouds = [cloud for cloud in plan.clouds if not _hidden(cloud.x, cloud.y, 0.13 * cloud.size, plan)]
    if clouds:
        found.append(" with a cloud" if len(clouds) == 1 else " with clouds")
    if plan.light is not None and not _hidden(plan.light.x, plan.light.y, plan.light.size, plan):
        found.append(" with the moon" if plan.time == "night" else " with the sun")
    if plan.hills and max(thing.width for thing in plan.objects) < 0.6 * plan.size:
        found.append(" with buildings behind" if plan.ground == "street" else " with hills behind")
    return [found[rng.integers(len(found))]] if found else []


def _hidden(x: float, y: float, reach: float, plan: Plan) -> bool:
    """Whether some object's box comes near a spot in the sky."""
    return any(
        abs(thing.x - x) < thing.width / 2 + reach and thing.base - thing.height - reach < y < thing.base + reach
        for thing in plan.objects
    )


def _join(phrases: list[str], rng: np.random.Generator) -> str:
    if len(phrases) == 1:
        return phrases[0]
    if len(phrases) == 2:
        return phrases[0] + _pick((" and ", " and ", " with "), rng) + phrases[1]
    return ", ".join(phrases[:-1]) + " and " + phrases[-1]


def _pick(options: tuple[str, ...] | tuple, rng: np.random.Generator):
    return options[rng.integers(len(options))]
