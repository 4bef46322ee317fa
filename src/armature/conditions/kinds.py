"""The kinds of control: one record each, which answers everything that is asked about a kind."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from armature.conditions.contract import NEAR_IS_BRIGHT, WHITE_ON_BLACK, InputContract, Order, with_channels
from armature.conditions.picture.fit import Content
from armature.conditions.picture.reading import Pixels
from armature.conditions.plugins import Plugins
from armature.conditions.pose.mirror import mirrored_keypose, mirrored_openpose
from armature.conditions.pose.pose_map import pose_pixels
from armature.errors import ConditionError

if TYPE_CHECKING:
    import numpy as np

# The name in `Kind.contracts` of the base that ships with Armature, beside the families of bases.
EMBEDDED = "embedded"


@dataclass(frozen=True)
class MapMeasure:
    """A measure of control fidelity that compares two maps: the given one, and the one read off a generated picture.

    name: of the figure. unit: what it counts, in words. better: which way is good.
    compare: of two maps of one size, (h, w) or (h, w, 3) uint8. has_content: whether a map says anything to follow.
    """

    name: str
    unit: str
    better: Literal["higher", "lower"]
    compare: Callable[[np.ndarray, np.ndarray], float]
    has_content: Callable[[np.ndarray], bool] | None = None


@dataclass(frozen=True)
class Kind:
    """One kind of control.

    name: lower case, words joined by underscores. summary: what its map shows, in a few words.
    contract: how adapters see the map. contracts: where a family of bases ("sdxl"), or the base that ships with
        Armature (EMBEDDED), has it otherwise.
    content: what the map's pixels mean, and so how it is resized: see `content_of`.
    aliases: what other tools call it.
    extractor: the name of what makes its maps by default, None where there is no map. embedded_extractor: the same for
        pictures of the base that ships with Armature, where that is another.
    measure: of control fidelity: a name of `armature.evaluation.fidelity.MEASURES`, one of its own, or None.
    mirror: gives the map of the mirrored picture from (h, w, 3) uint8; None where mirroring the pixels is enough.
        Raises ConditionError when it cannot tell left from right.
    drawn_from: what draws the map from data that is no picture, by the file's ending (".json"): gives the pixels of a
        path. Raises ConditionError for a file that it cannot draw.
    """

    name: str
    summary: str
    contract: InputContract
    contracts: Mapping[str, InputContract] = field(default_factory=dict)
    content: Content = "picture"
    aliases: tuple[str, ...] = ()
    extractor: str | None = None
    embedded_extractor: str | None = None
    measure: str | MapMeasure | None = None
    mirror: Callable[[np.ndarray], np.ndarray] | None = None
    drawn_from: Mapping[str, Callable[[Path], Pixels]] = field(default_factory=dict)


def _lines(kind: str, channels: int, threshold: float | None, words: str) -> InputContract:
    order: Order = "L" if channels == 1 else "RGB"
    return InputContract(kind, channels, order, (0.0, 1.0), WHITE_ON_BLACK, threshold, None, words)


# Facts: the published sd14v1 / sd15v2 / CoAdapter files; the SDXL folders state their channels in their config.
_SEG = InputContract("seg", 3, "RGB", palette="coco-stuff", description="one palette colour per class")
_BUILT_IN = (
    Kind(
        name="sketch",
        summary="hand-drawn or edge-network lines, binarised",
        contract=_lines("sketch", 1, 0.5, "white lines on black, binarised"),
        content="line",
        aliases=("scribble", "drawing", "pidi", "pidinet"),
        extractor="sketch",
        embedded_extractor="embedded:sketch",
        measure="edge_f1",
    ),
    Kind(
        name="canny",
        summary="Canny edges, one pixel wide",
        contract=_lines("canny", 1, 0.5, "white edges on black, binarised"),
        contracts={"sdxl": _lines("canny", 3, 0.5, "white edges on black, binarised")},
        content="line",
        aliases=("edge", "edges"),
        extractor="canny",
        embedded_extractor="embedded:canny",
        measure="edge_f1",
    ),
    Kind(
        name="lineart",
        summary="clean line drawing with soft strokes",
        contract=_lines("lineart", 1, None, "white strokes on black"),
        contracts={"sdxl": _lines("lineart", 3, None, "white strokes on black")},
        content="line",
        aliases=("line", "lineart_anime", "lineart_realistic", "line_art"),
        extractor="lineart",
        measure="edge_f1",
    ),
    Kind(
        name="softedge",
        summary="soft edge strength, as HED and PiDiNet give it",
        contract=_lines("softedge", 1, None, "bright edges on black"),
        content="line",
        aliases=("soft_edge", "hed"),
        extractor="softedge",
        measure="edge_f1",
    ),
    Kind(
        name="depth",
        summary="distance from the camera, near is bright",
        contract=InputContract("depth", 3, "RGB", polarity=NEAR_IS_BRIGHT, description="grey depth, near is bright"),
        aliases=("depth_midas", "depth_zoe", "depth_anything", "midas", "dpt", "zoe", "zoedepth"),
        extractor="depth",
        embedded_extractor="embedded:depth",
        measure="depth_rmse",
    ),
    Kind(
        name="seg",
        summary="one palette colour per class of thing",
        contract=_SEG,
        contracts={EMBEDDED: replace(_SEG, palette="toyworld")},
        content="label",
        aliases=("segmentation", "semantic", "ade20k", "coco_stuff"),
        extractor="seg",
        embedded_extractor="embedded:seg",
        measure="seg_miou",
    ),
    Kind(
        name="openpose",
        summary="18 joints in OpenPose's limb colours",
        contract=InputContract("openpose", 3, "RGB", description="18 joints in OpenPose's colours on black"),
        # The SDXL openpose adapter was trained on pictures read by OpenCV and never reordered.
        contracts={
            "sdxl": InputContract(
                "openpose", 3, "BGR", description="18 joints in OpenPose's colours, channels blue first"
            )
        },
        content="label",
        aliases=("pose", "dwpose", "open_pose", "vitpose"),
        extractor="openpose",
        embedded_extractor="embedded:openpose",
        measure="joint_accuracy",
        mirror=mirrored_openpose,
        drawn_from={".json": pose_pixels},
    ),
    Kind(
        name="keypose",
        summary="17 COCO joints in mmpose's colours",
        contract=InputContract("keypose", 3, "RGB", description="17 joints in mmpose's colours on black"),
        content="label",
        aliases=("mmpose", "key_pose"),
        extractor="keypose",
        mirror=mirrored_keypose,
    ),
    Kind(
        name="color",
        summary="palette map: blocks of the picture's own colours",
        contract=InputContract("color", 3, "RGB", description="palette map: 64x bicubic down, nearest up"),
        content="label",
        aliases=("colour", "palette", "spatial_palette"),
        extractor="color",
        embedded_extractor="embedded:color",
        measure="palette_error",
    ),
    Kind(
        name="tile",
        summary="the picture itself, blurred",
        contract=InputContract("tile", 3, "RGB", description="the picture, blurred"),
        aliases=("blur",),
        extractor="tile",
        measure="tile_error",
    ),
    Kind(
        name="grey",
        summary="the picture's brightness",
        contract=InputContract("grey", 1, "L", description="the picture's brightness"),
        aliases=("gray", "grayscale", "greyscale", "recolor"),
        extractor="grey",
        measure="grey_rmse",
    ),
    Kind(
        name="style",
        summary="CLIP vision states of a whole picture; no map",
        contract=InputContract("style", 3, "RGB", description="a whole picture; its CLIP vision states are the input"),
        aliases=("clip_vision",),
    ),
)


def tidy_name(name: str) -> str:
    """A name in the spelling of the records: lower case, words joined by underscores."""
    return re.sub(r"[\s\-_]+", "_", name.strip().lower())


KINDS: Plugins[Kind] = Plugins("kind of control", "armature.kinds", Kind, lambda: _BUILT_IN, tidy_name)
_NAME_OF_FILE = re.compile(r"\.(safetensors|pth|pt|bin|ckpt)$", re.IGNORECASE)


def find_kind(name: str) -> Kind:
    """The kind of a name or alias.

    Raises ConditionError for an unknown one, with the known kinds, the nearest name, and what packages failed to add.
    """
    kind = KINDS.get(name)
    if kind is not None:
        return kind
    near = get_close_matches(tidy_name(name), KINDS.all_names(), n=1, cutoff=0.6)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    known = ", ".join(KINDS.names())
    raise ConditionError(" ".join([f"Unknown kind of control {name!r}; known kinds: {known}.{hint}", *KINDS.problems]))


def canonical_kind(name: str) -> str:
    """The name of the kind that a name or alias stands for; raises ConditionError as `find_kind` does."""
    return find_kind(name).name


def kind_in_source(source: str) -> str | None:
    """The kind that a file name, hub id or `embedded:` name speaks of, or None.

    Only the last part of the path counts: "TencentARC/t2i-adapter-depth-midas-sdxl-1.0" is depth.
    """
    last = source.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1].rsplit(":", 1)[-1]
    words = tidy_name(_NAME_OF_FILE.sub("", last)).split("_")
    pairs = ["_".join(pair) for pair in pairwise(words)]
    found = (KINDS.get(word) for word in [*pairs, *words] if word)
    return next((kind.name for kind in found if kind is not None), None)


def contract_for(
    kind: str | None, *, in_channels: int | None = None, family: str | None = None, source: str | None = None
) -> InputContract:
    """The contract of a kind, made exact by what is known of the file.

    kind: a kind or alias; None takes it from `source`, and failing that gives the contract "any".
    in_channels: picture channels counted from the weights (conv_in channels / stride squared); they outrank the record.
    family: of bases, by its name; None looks for one in `source`.
    source: file name, hub id or `embedded:` name.
    Raises ConditionError for an unknown kind or a channel count below 1.
    Source: facts on the published files; the authors' SDXL openpose training reads pictures with OpenCV.
    """
    name = kind if kind is not None else kind_in_source(source or "")
    if name is None:
        contract = InputContract("any", 3, "RGB", description="kind unknown: taken as it is")
    else:
        contract = _contract_in(find_kind(name), family, source or "")
    return contract if in_channels is None else with_channels(contract, in_channels)


def _contract_in(kind: Kind, family: str | None, source: str) -> InputContract:
    """The record's contract for a base: the shipped one's first, then its family's, then the usual one."""
    if source.startswith("embedded:") and EMBEDDED in kind.contracts:
        return kind.contracts[EMBEDDED]
    if family is not None:
        return kind.contracts.get(family, kind.contract)
    named = (contract for name, contract in kind.contracts.items() if name != EMBEDDED and name in source.lower())
    return next(named, kind.contract)


def content_of(contract: InputContract) -> Content:
    """How the maps of a contract are resized.

    What its kind's record says; soft lines, which no threshold cuts, are averaged like pictures. A contract with a
    threshold or a palette speaks for itself.
    """
    if contract.binarize is not None:
        return "line"
    if contract.palette is not None:
        return "label"
    kind = KINDS.get(contract.kind)
    return "label" if kind is not None and kind.content == "label" else "picture"
