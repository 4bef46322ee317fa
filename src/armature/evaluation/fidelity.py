"""Control fidelity: how well a generated picture follows the control map that it was given.

The map is extracted again, from the generated picture, and compared with the given one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from PIL import Image

from armature.conditions.extract import extract
from armature.conditions.kinds import canonical_kind
from armature.conditions.palettes import palette_colours
from armature.errors import ConditionError
from armature.evaluation.compare import aligned_rmse, colour_distance, mean_iou, rmse
from armature.evaluation.edges import edge_score, picture_edges
from armature.evaluation.joints import Joints, drawn_joints, joint_count, joint_share, joints_of
from armature.evaluation.maps import coloured, grey

# The name of `edges.picture_edges`, which is no extractor of the registry.
EDGES = "edges"
# Joints count within this share of the longer side.
REACH = 0.05

LINES = ("sketch", "canny", "lineart", "softedge")
_EMBEDDED = ("depth", "seg", "openpose", "color")

Compare = Callable[[np.ndarray, np.ndarray], float]


@dataclass(frozen=True)
class Measure:
    """How the fidelity of one kind of control is counted.

    name: of the figure. unit: what it counts, in words. better: which way is good; the best is 1 or 0.
    extractor: what reads the generated picture. compare: of (map, picture), as `score`, unchecked.
    asks: whether a map says anything that could be followed.
    """

    name: str
    unit: str
    better: Literal["higher", "lower"]
    extractor: str
    compare: Compare
    asks: Callable[[np.ndarray], bool] = lambda control: True

    def score(self, control: np.ndarray, picture: np.ndarray) -> float:
        """The figure of one picture.

        control: (h, w) or (h, w, 3) uint8 in the form of its contract, red first. picture: (h, w, 3) uint8 RGB.
        Raises ConditionError for arrays of other shapes, and when the extractor cannot run.
        """
        if control.shape[:2] != picture.shape[:2] or picture.ndim != 3 or control.ndim not in (2, 3):
            raise ConditionError(
                f"A map of shape {control.shape} and a picture of {picture.shape} cannot be compared; "
                "expected (h, w) or (h, w, 3), and (h, w, 3)."
            )
        return self.compare(control, picture)


def fidelity_of(
    kind: str,
    *,
    extractor: str | None = None,
    options: Mapping[str, Any] | None = None,
    palette: str | None = None,
    embedded: bool = False,
) -> Measure:
    """The measure of a kind of control.

    extractor: what made the maps, by its name in `armature.extract`, and its options; left out, `usual_extractor`.
    palette: of a segmentation, as its contract names it. embedded: whether pictures of the embedded base are read.
    Extractors load their networks at the first score. Raises ConditionError for an unknown kind and for one without a
    measure.
    """
    kind = canonical_kind(kind)
    name = extractor or usual_extractor(kind, embedded=embedded)
    again = _Again(name, dict(options or {}))
    if kind in LINES:
        words = "F1 of edge pixels, within 2 pixels"
        return Measure("edge_f1", words, "higher", name, _edges(again), lambda control: bool(_lines(control).any()))
    if kind == "seg":
        return Measure("seg_miou", "mean IoU over the map's classes", "higher", name, _seg(again, palette, embedded))
    if kind == "depth":
        # Networks for photographs know depth up to scale and shift only; the embedded annotator was taught its values.
        absolute = name.startswith("embedded:")
        words = "RMSE of depth in 0..1" + ("" if absolute else ", scale and shift fitted")
        return Measure("depth_rmse", words, "lower", name, _depth(again, absolute))
    if kind == "openpose":
        words = f"share of joints within {REACH:.0%} of the longer side"
        return Measure("joint_accuracy", words, "higher", name, _pose(again), _has_people)
    if kind in ("color", "tile"):
        words = "mean RGB distance of the maps, 0..1"
        return Measure("palette_error" if kind == "color" else "tile_error", words, "lower", name, _colours(again))
    if kind == "grey":
        return Measure("grey_rmse", "RMSE of brightness in 0..1", "lower", name, _grey(again))
    known = ", ".join((*LINES, "seg", "depth", "openpose", "color", "tile", "grey"))
    raise ConditionError(f"Control fidelity cannot be measured for {kind}; it can for {known}. Look at the pictures.")


def usual_extractor(kind: str, *, embedded: bool) -> str:
    """What reads maps of a kind off pictures of the embedded base, or of any other."""
    if kind in LINES:
        return EDGES
    return f"embedded:{kind}" if embedded and kind in _EMBEDDED else kind


def distance_closed(without: float, with_: float, ceiling: float) -> float | None:
    """Share of the way from no control to the best that the base can show; 1 is all of it, negative is harm.

    The figures of one measure, whichever way is better; None when the ceiling is no better than nothing at all.
    """
    way = ceiling - without
    return None if abs(way) < 1e-9 else (with_ - without) / way


@dataclass(frozen=True)
class _Again:
    """Extraction from a generated picture; one that shows nothing of the kind gives an empty map."""

    name: str
    options: dict[str, Any]

    def __call__(self, picture: np.ndarray) -> np.ndarray:
        return np.asarray(extract(self.name, Image.fromarray(picture), **self.options))


def _lines(control: np.ndarray) -> np.ndarray:
    """Pixels of a line map that are lines: above half of white, or of the brightest in a faint one."""
    values = grey(control)
    return values > min(127, int(values.max()) // 2)


def _edges(again: _Again) -> Compare:
    if again.name == EDGES:
        return lambda control, picture: edge_score(_lines(control), picture_edges(picture)).f1
    return lambda control, picture: edge_score(_lines(control), _lines(again(picture))).f1


def _seg(again: _Again, palette: str | None, embedded: bool) -> Compare:
    palette = palette or ("toyworld" if embedded or again.name.startswith("embedded:") else "coco-stuff")
    colours = palette_colours(palette)
    if colours is None:
        raise ConditionError(f"Unknown palette {palette!r}; expected 'toyworld', 'coco-stuff' or 'ade20k'.")
    if again.name == "seg":
        again = _Again("seg", {**again.options, "palette": palette})
    return lambda control, picture: mean_iou(coloured(control), again(picture), colours)


def _depth(again: _Again, absolute: bool) -> Compare:
    compare = rmse if absolute else aligned_rmse
    return lambda control, picture: compare(grey(control), grey(again(picture)))


def _colours(again: _Again) -> Compare:
    return lambda control, picture: colour_distance(coloured(control), coloured(again(picture)))


def _grey(again: _Again) -> Compare:
    return lambda control, picture: rmse(grey(control), grey(again(picture)))


def _has_people(control: np.ndarray) -> bool:
    return joint_count(drawn_joints(coloured(control))) > 0


def _pose(again: _Again) -> Compare:
    def compare(control: np.ndarray, picture: np.ndarray) -> float:
        reach = REACH * max(picture.shape[:2])
        return joint_share(drawn_joints(coloured(control)), _found_joints(again, picture), reach)

    return compare


def _found_joints(again: _Again, picture: np.ndarray) -> Joints:
    if again.name == "embedded:openpose":
        # Not by way of a drawing, where joints cover each other.
        from armature.conditions.embedded_annotator import annotate

        return joints_of(annotate(Image.fromarray(picture)).people)
    return drawn_joints(_Again(again.name, {**again.options, "allow_empty": True})(picture))
