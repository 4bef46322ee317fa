"""Palettes of segmentation maps: colours of classes, and the way from one data set's classes to another's."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

from armature.conditions import palette_data
from armature.errors import ConditionError

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

_COLOURS = {"ade20k": palette_data.ADE20K_COLOURS, "coco-stuff": palette_data.COCO_STUFF_COLOURS}
_NAMES = {"ade20k": palette_data.ADE20K_NAMES, "coco-stuff": palette_data.COCO_STUFF_NAMES}
PALETTES = tuple(_COLOURS)


@lru_cache
def palette_colours(name: str) -> np.ndarray | None:
    """The colours of a palette, uint8 (classes, 3) in red, green, blue; None for an unknown palette.

    "toyworld" is known here as well, for checks of maps.
    """
    import numpy as np

    if name == "toyworld":
        from armature.toyworld.palette import SEG_TABLE

        return SEG_TABLE
    if name not in _COLOURS:
        return None
    return np.array([list(bytes.fromhex(word)) for word in _COLOURS[name].split()], dtype=np.uint8)


def palette_names(name: str) -> tuple[str, ...]:
    """The class names of a palette, in class order. Raises ConditionError for an unknown palette."""
    if name not in _NAMES:
        raise ConditionError(f"Unknown palette {name!r}; known palettes: {', '.join(PALETTES)}.")
    return tuple(" ".join(part.split()) for part in _NAMES[name].split(","))


def class_map(labels: Mapping[int, str], palette: str) -> tuple[list[int], list[str]]:
    """The palette's class index for each of a model's classes, and the names that have none there.

    labels: the model's `id2label`, indices from 0. A model whose class count equals the palette's is taken to be of
    that data set, index for index; otherwise classes meet by name, ADE20K's through a table of equivalents.
    A class without equivalent gets -1.
    """
    names = palette_names(palette)
    if len(labels) == len(names):
        return list(range(len(names))), []
    index = {name: position for position, name in enumerate(names)}
    known_as = _equivalents() if palette == "coco-stuff" else {}
    found = [_find(labels[position], index, known_as) for position in range(len(labels))]
    return found, [labels[position] for position, target in enumerate(found) if target < 0]


def _find(label: str, index: Mapping[str, int], known_as: Mapping[str, str]) -> int:
    """Index of the first of a label's names ("sofa, couch") that the palette knows, or -1."""
    for word in (part.strip().lower() for part in label.replace(";", ",").split(",")):
        for name in (known_as.get(word, word), f"{word}-other", f"{word}-stuff"):
            if name in index:
                return index[name]
    return -1


@lru_cache
def _equivalents() -> dict[str, str]:
    pairs: dict[str, str] = {}
    for line in palette_data.ADE20K_AS_COCO_STUFF.strip().splitlines():
        target, words = line.split(": ")
        pairs.update(dict.fromkeys(words.split(", "), target))
    return pairs


def paint(classes: np.ndarray, palette: str) -> Image.Image:
    """Class indices (H, W) as a picture in the palette's colours; -1 is black.

    Raises ConditionError for an unknown palette or an index beyond it.
    """
    import numpy as np
    from PIL import Image

    colours = palette_colours(palette)
    if colours is None:
        raise ConditionError(f"Unknown palette {palette!r}; known palettes: {', '.join(PALETTES)}.")
    if classes.size and int(classes.max()) >= len(colours):
        raise ConditionError(f"Class {int(classes.max())} is not in the {palette} palette of {len(colours)} colours.")
    table = np.concatenate([colours, np.zeros((1, 3), np.uint8)])  # index -1 meets the added black
    return Image.fromarray(table[classes])
