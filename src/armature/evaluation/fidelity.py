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
from armature.conditions.kinds import KINDS, Kind, MapMeasure, find_kind
from armature.conditions.palettes import palette_colours
from armature.conditions.registry import default_extractor
from armature.errors import ConditionError
from armature.evaluation.compare import aligned_rmse, colour_distance, mean_iou, rmse
from armature.evaluation.edges import edge_score, picture_edges
from armature.evaluation.joints import Joints, drawn_joints, joint_count, joint_share, joints_of
from armature.evaluation.maps import coloured, grey

# The name of `edges.picture_edges`, which is no extractor of the registry.
EDGES = "edges"
# Joints count within this share of the longer side.
REACH = 0.05

Compare = Callable[[np.ndarray, np.ndarray], float]


@dataclass(frozen=True)
class Measure:
    """How the fidelity of one kind of control is counted.

    name: of the figure. unit: what it counts, in words. better: which way is good; the best is 1 or 0.
    extractor: what reads the generated picture. compare: of (map, picture), as `score`, unchecked.
    has_content: whether a map says anything that could be followed.
    """

    name: str
    unit: str
    better: Literal["higher", "lower"]
    extractor: str
    compare: Compare
    has_content: Callable[[np.ndarray], bool] = lambda control: True

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
    """The measure of a kind of control, as the kind's record names it.

    extractor: what made the maps, by its name in `armature.extract`, and its options; left out, `usual_extractor`.
    palette: of a segmentation, as its contract names it. embedded: whether pictures of the embedded base are read.
    Extractors load their networks at the first score. Raises ConditionError for an unknown kind and for one without a
    measure.
    """
    record = find_kind(kind)
    build = _builder(record)
    again = _Again(extractor or usual_extractor(record.name, embedded=embedded), dict(options or {}))
    return build(_Reading(again, palette, embedded))


def usual_extractor(kind: str, *, embedded: bool) -> str:
    """What reads maps of a kind off pictures of the embedded base, or of any other."""
    record = find_kind(kind)
    return EDGES if _builder(record) is _edge_f1 else default_extractor(record.name, embedded=embedded)


def gap_closed(without: float, with_: float, ceiling: float) -> float | None:
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


@dataclass(frozen=True)
class _Reading:
    """How the pictures are read: by what, into which palette, and whether they are the embedded base's."""

    again: _Again
    palette: str | None
    embedded: bool


def _lines(control: np.ndarray) -> np.ndarray:
    """Pixels of a line map that are lines: above half of white, or of the brightest in a faint one."""
    values = grey(control)
    return values > min(127, int(values.max()) // 2)


def _edge_f1(reading: _Reading) -> Measure:
    again = reading.again

    def compare(control: np.ndarray, picture: np.ndarray) -> float:
        found = picture_edges(picture) if again.name == EDGES else _lines(again(picture))
        return edge_score(_lines(control), found).f1

    words = "F1 of edge pixels, within 2 pixels"
    return Measure("edge_f1", words, "higher", again.name, compare, lambda control: bool(_lines(control).any()))


def _seg_miou(reading: _Reading) -> Measure:
    again = reading.again
    embedded = reading.embedded or again.name.startswith("embedded:")
    palette = reading.palette or ("toyworld" if embedded else "coco-stuff")
    colours = palette_colours(palette)
    if colours is None:
        raise ConditionError(f"Unknown palette {palette!r}; expected 'toyworld', 'coco-stuff' or 'ade20k'.")
    if again.name == "seg":
        again = _Again("seg", {**again.options, "palette": palette})

    def compare(control: np.ndarray, picture: np.ndarray) -> float:
        return mean_iou(coloured(control), again(picture), colours)

    return Measure("seg_miou", "mean IoU over the map's classes", "higher", again.name, compare)


def _depth_rmse(reading: _Reading) -> Measure:
    again = reading.again
    # Networks for photographs know depth up to scale and shift only; the embedded annotator was taught its values.
    absolute = again.name.startswith("embedded:")
    error = rmse if absolute else aligned_rmse
    words = "RMSE of depth in 0..1" + ("" if absolute else ", scale and shift fitted")
    return Measure(
        "depth_rmse", words, "lower", again.name, lambda control, picture: error(grey(control), grey(again(picture)))
    )


def _joint_accuracy(reading: _Reading) -> Measure:
    again = reading.again

    def compare(control: np.ndarray, picture: np.ndarray) -> float:
        reach = REACH * max(picture.shape[:2])
        return joint_share(drawn_joints(coloured(control)), _found_joints(again, picture), reach)

    words = f"share of joints within {REACH:.0%} of the longer side"
    return Measure("joint_accuracy", words, "higher", again.name, compare, _has_people)


def _has_people(control: np.ndarray) -> bool:
    return joint_count(drawn_joints(coloured(control))) > 0


def _found_joints(again: _Again, picture: np.ndarray) -> Joints:
    if again.name == "embedded:openpose":
        # Not by way of a drawing, where joints cover each other.
        from armature.conditions.networks.annotate import annotate

        return joints_of(annotate(Image.fromarray(picture)).people)
    return drawn_joints(_Again(again.name, {**again.options, "allow_empty": True})(picture))


def _of_maps(measure: MapMeasure) -> Callable[[_Reading], Measure]:
    """A measure that compares the given map with the one that is extracted again."""

    def build(reading: _Reading) -> Measure:
        def compare(control: np.ndarray, picture: np.ndarray) -> float:
            return measure.compare(control, reading.again(picture))

        has_content = {} if measure.has_content is None else {"has_content": measure.has_content}
        return Measure(measure.name, measure.unit, measure.better, reading.again.name, compare, **has_content)

    return build


def _colour_measure(name: str) -> Callable[[_Reading], Measure]:
    words = "mean RGB distance of the maps, 0..1"
    return _of_maps(
        MapMeasure(name, words, "lower", lambda given, found: colour_distance(coloured(given), coloured(found)))
    )


# What a kind's record may name as its measure.
MEASURES: Mapping[str, Callable[[_Reading], Measure]] = {
    "edge_f1": _edge_f1,
    "seg_miou": _seg_miou,
    "depth_rmse": _depth_rmse,
    "joint_accuracy": _joint_accuracy,
    "palette_error": _colour_measure("palette_error"),
    "tile_error": _colour_measure("tile_error"),
    "map_error": _colour_measure("map_error"),
    "grey_rmse": _of_maps(
        MapMeasure(
            "grey_rmse", "RMSE of brightness in 0..1", "lower", lambda given, found: rmse(grey(given), grey(found))
        )
    ),
}


def _builder(kind: Kind) -> Callable[[_Reading], Measure]:
    """What makes the measure of a kind. Raises ConditionError for a kind without one."""
    if isinstance(kind.measure, MapMeasure):
        return _of_maps(kind.measure)
    if kind.measure is None:
        known = ", ".join(one.name for one in KINDS if one.measure is not None)
        raise ConditionError(
            f"Control fidelity cannot be measured for {kind.name}; it can for {known}. Look at the pictures."
        )
    if kind.measure not in MEASURES:
        raise ConditionError(
            f"The kind {kind.name} names an unknown measure {kind.measure!r}; known ones: {', '.join(MEASURES)}."
        )
    return MEASURES[kind.measure]
