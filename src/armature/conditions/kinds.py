"""The kinds of control that Armature knows, and the names that other tools give them."""

from __future__ import annotations

import re
from difflib import get_close_matches
from itertools import pairwise

from armature.errors import ConditionError

KINDS: dict[str, str] = {
    "sketch": "hand-drawn or edge-network lines, binarised",
    "canny": "Canny edges, one pixel wide",
    "lineart": "clean line drawing with soft strokes",
    "softedge": "soft edge strength, as HED and PiDiNet give it",
    "depth": "distance from the camera, near is bright",
    "seg": "one palette colour per class of thing",
    "openpose": "18 joints in OpenPose's limb colours",
    "keypose": "17 COCO joints in mmpose's colours",
    "color": "palette map: blocks of the picture's own colours",
    "tile": "the picture itself, blurred",
    "grey": "the picture's brightness",
    "style": "CLIP vision states of a whole picture; no map",
}

ALIASES: dict[str, str] = {
    "scribble": "sketch",
    "drawing": "sketch",
    "pidi": "sketch",
    "pidinet": "sketch",
    "edge": "canny",
    "edges": "canny",
    "line": "lineart",
    "lineart_anime": "lineart",
    "lineart_realistic": "lineart",
    "line_art": "lineart",
    "soft_edge": "softedge",
    "hed": "softedge",
    "depth_midas": "depth",
    "depth_zoe": "depth",
    "depth_anything": "depth",
    "midas": "depth",
    "dpt": "depth",
    "zoe": "depth",
    "zoedepth": "depth",
    "segmentation": "seg",
    "semantic": "seg",
    "ade20k": "seg",
    "coco_stuff": "seg",
    "pose": "openpose",
    "dwpose": "openpose",
    "open_pose": "openpose",
    "vitpose": "openpose",
    "mmpose": "keypose",
    "key_pose": "keypose",
    "colour": "color",
    "palette": "color",
    "spatial_palette": "color",
    "blur": "tile",
    "gray": "grey",
    "grayscale": "grey",
    "greyscale": "grey",
    "recolor": "grey",
    "clip_vision": "style",
}

_NAME_OF_FILE = re.compile(r"\.(safetensors|pth|pt|bin|ckpt)$", re.IGNORECASE)


def tidy_name(name: str) -> str:
    """A name in the spelling of the tables: lower case, words joined by underscores."""
    return re.sub(r"[\s\-_]+", "_", name.strip().lower())


def canonical_kind(name: str) -> str:
    """The kind that a name or alias stands for.

    Raises ConditionError for an unknown name, with the known kinds and the nearest name.
    """
    tidy = tidy_name(name)
    if tidy in KINDS:
        return tidy
    if tidy in ALIASES:
        return ALIASES[tidy]
    near = get_close_matches(tidy, [*KINDS, *ALIASES], n=1, cutoff=0.6)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise ConditionError(f"Unknown kind of control {name!r}; known kinds: {', '.join(KINDS)}.{hint}")


def kind_in_source(source: str) -> str | None:
    """The kind that a file name, hub id or `embedded:` name speaks of, or None.

    Only the last part of the path counts: "TencentARC/t2i-adapter-depth-midas-sdxl-1.0" is depth.
    """
    last = source.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1].rsplit(":", 1)[-1]
    words = tidy_name(_NAME_OF_FILE.sub("", last)).split("_")
    pairs = ["_".join(pair) for pair in pairwise(words)]
    for word in [*pairs, *words]:
        if word in KINDS:
            return word
        if word in ALIASES:
            return ALIASES[word]
    return None
