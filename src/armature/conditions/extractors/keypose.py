"""Poses by a person detector and ViTPose, drawn as mmpose draws them, for the sd14v1 keypose adapter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from armature.conditions.extractor import Extractor
from armature.conditions.kinds import contract_for
from armature.conditions.networks.people import DETECTOR_WEIGHTS, OPTIONS, POSE_WEIGHTS, find_people
from armature.conditions.pose.drawing import draw_keypose
from armature.conditions.pose.pose import Joint

if TYPE_CHECKING:
    from PIL import Image


def keypose(picture: Image.Image, least_score: float, allow_empty: bool, **options: object) -> Image.Image:
    """People as 17 joints in mmpose's colours on black, mode "RGB".

    Raises ConditionError when nobody is found, unless allow_empty.
    """
    people = find_people(picture, least_score=least_score, allow_empty=allow_empty, **options)  # type: ignore[arg-type]
    drawn = [[Joint(*row) if row[2] >= least_score else None for row in rows.tolist()] for rows in people]
    return draw_keypose(drawn, picture.size)


EXTRACTOR = Extractor(
    name="keypose",
    kind="keypose",
    summary="poses by ViTPose, 17 joints in mmpose's drawing",
    run=keypose,
    contract=contract_for("keypose"),
    options=OPTIONS,
    weights=(DETECTOR_WEIGHTS, POSE_WEIGHTS),
    offline="embedded:openpose",
)
