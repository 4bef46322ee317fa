"""The extractors by name; each lives in a file of its own and is imported when first asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from difflib import get_close_matches
from importlib import import_module

from armature.conditions.extractor import Extractor, Value
from armature.conditions.kinds import ALIASES, KINDS, tidy_name
from armature.errors import ConditionError

_ROOM = "armature.conditions.extractors"

# Every module holds one EXTRACTOR. Order: those without weights first.
_BUILT_IN: dict[str, str] = {
    "canny": "canny",
    "sketch": "sketch",
    "lineart": "lineart",
    "softedge": "softedge",
    "color": "color",
    "tile": "tile",
    "grey": "grey",
    "map": "ready_map",
    "embedded:depth": "embedded_depth",
    "embedded:seg": "embedded_seg",
    "embedded:openpose": "embedded_openpose",
    "depth": "depth",
    "seg": "seg",
    "openpose": "openpose",
    "keypose": "keypose",
    "pidinet": "pidinet",
    "hed": "hed",
}

# Names of other tools that mean one of the extractors with certain settings.
_PRESETS: dict[str, tuple[str, Mapping[str, Value]]] = {
    "pidi": ("pidinet", {}),
    "midas": ("depth", {"model": "Intel/dpt-hybrid-midas"}),
    "depth_midas": ("depth", {"model": "Intel/dpt-hybrid-midas"}),
    "dpt": ("depth", {"model": "Intel/dpt-large"}),
    "zoe": ("depth", {"model": "Intel/zoedepth-nyu-kitti"}),
    "zoedepth": ("depth", {"model": "Intel/zoedepth-nyu-kitti"}),
    "depth_zoe": ("depth", {"model": "Intel/zoedepth-nyu-kitti"}),
    # The embedded adapters' own kinds that need no annotator; toyworld's palette map has 8 x 8 patches at any size.
    "embedded:sketch": ("sketch", {}),
    "embedded:canny": ("canny", {}),
    "embedded:color": ("color", {"patches": 8}),
    "ade20k": ("seg", {"palette": "ade20k"}),
    "coco_stuff": ("seg", {"palette": "coco-stuff"}),
}

_ADDED: dict[str, Extractor] = {}


def register(extractor: Extractor) -> None:
    """Add an extractor of one's own; raises ConditionError when its name is taken."""
    name = _tidy(extractor.name)
    if name in _BUILT_IN or name in _PRESETS or name in _ADDED:
        raise ConditionError(f"An extractor named {extractor.name!r} exists; choose another name.")
    _ADDED[name] = extractor


def extractor_names() -> tuple[str, ...]:
    """The names of all extractors, those that need no weights first."""
    return (*_BUILT_IN, *_ADDED)


def find_extractor(name: str) -> Extractor:
    """The extractor of a name, of another tool's name, or the usual one of a kind.

    "pidinet" is the network of that name, "sketch" the classical extractor that works without weights.
    Raises ConditionError for an unknown name, with the known ones and the nearest, and for "style", which has no map.
    """
    tidy = _tidy(name)
    if tidy in _ADDED:
        return _ADDED[tidy]
    if tidy in _BUILT_IN:
        return _load(tidy)
    if tidy in _PRESETS:
        base, presets = _PRESETS[tidy]
        return replace(_load(base), presets=presets) if presets else _load(base)
    kind = ALIASES.get(tidy, tidy)
    if kind in _BUILT_IN:
        return _load(kind)
    if kind in KINDS:
        raise ConditionError(
            f"{name!r} has no map to extract: style adapters read the CLIP vision states of the picture itself "
            "(armature.conditions.style.style_states)."
        )
    near = get_close_matches(tidy, [*extractor_names(), *_PRESETS, *ALIASES], n=1, cutoff=0.6)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise ConditionError(f"Unknown extractor {name!r}; known extractors: {', '.join(extractor_names())}.{hint}")


def _tidy(name: str) -> str:
    head, colon, tail = name.rpartition(":")
    return f"{tidy_name(head)}{colon}{tidy_name(tail)}"


def _load(name: str) -> Extractor:
    return import_module(f"{_ROOM}.{_BUILT_IN[name]}").EXTRACTOR
