"""Does a picture of toyworld show what its caption names? Judged by the embedded annotator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from armature.conditions.networks.annotator import Annotation
from armature.toyworld.palette import CLASS_INDEX, COLOUR_NAMES
from armature.toyworld.scene import Scene
from armature.toyworld.words import colour_is_named

# A thing covers at least this share of the picture to count as there: about 9 x 9 pixels of 128 x 128.
LEAST_AREA = 0.005


@dataclass(frozen=True)
class Named:
    """One thing that a caption names: its class, and its colour unless the caption leaves it open."""

    name: str
    colour: str | None


@dataclass(frozen=True)
class PromptAlignment:
    """objects: how many of the named things were found, of how many. colours: the same for the named colours.

    A colour counts as right when most of the found thing has it; a thing that was not found has no right colour.
    """

    objects_found: int
    objects_named: int
    colours_right: int
    colours_named: int

    @property
    def object_recall(self) -> float:
        """Share of the named things that were found, 0..1."""
        return self.objects_found / max(1, self.objects_named)

    @property
    def colour_share(self) -> float:
        """Share of the named colours that are right, 0..1."""
        return self.colours_right / max(1, self.colours_named)


def named_things(scene: Scene) -> list[Named]:
    """What the scene's caption names: each group of equal things once."""
    things = sorted({(thing.name, thing.colour) for thing in scene.objects})
    return [Named(name, colour if colour_is_named(scene.caption, name, colour) else None) for name, colour in things]


def prompt_alignment(named: Sequence[Sequence[Named]], found: Sequence[Annotation]) -> PromptAlignment:
    """Count over pictures what was named and what the annotator found in them; both lists in one order."""
    objects = hits = colours = right = 0
    for things, seen in zip(named, found, strict=True):
        for thing in things:
            area = seen.classes == CLASS_INDEX[thing.name]
            there = bool(area.mean() >= LEAST_AREA)
            objects += 1
            hits += there
            if thing.colour is None:
                continue
            colours += 1
            if there:
                # Numbers 1.. are colours; 0 is "no object", where class and colour disagree about an edge.
                votes = np.bincount(seen.colours[area], minlength=1 + len(COLOUR_NAMES))[1:]
                right += int(votes.argmax()) == COLOUR_NAMES.index(thing.colour)
    return PromptAlignment(hits, objects, right, colours)
