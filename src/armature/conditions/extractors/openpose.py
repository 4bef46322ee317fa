"""Poses by a person detector and ViTPose, drawn as OpenPose draws them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from armature.conditions.extractor import Extractor
from armature.conditions.kinds import contract_for
from armature.conditions.networks.people import DETECTOR_WEIGHTS, OPTIONS, POSE_WEIGHTS, find_people
from armature.conditions.pose.drawing import draw_pose
from armature.conditions.pose.pose import pose_from_coco

if TYPE_CHECKING:
    from PIL import Image


def openpose(picture: Image.Image, least_score: float, allow_empty: bool, **options: object) -> Image.Image:
    """People as 18 joints in OpenPose's colours on black, mode "RGB".

    Raises ConditionError when nobody is found, unless allow_empty.
    """
    people = find_people(picture, least_score=least_score, allow_empty=allow_empty, **options)  # type: ignore[arg-type]
    poses = [pose_from_coco(rows.tolist(), least_score=least_score) for rows in people]
    return draw_pose(poses, picture.size)


EXTRACTOR = Extractor(
    name="openpose",
    kind="openpose",
    summary="poses by ViTPose, 18 joints",
    run=openpose,
    contract=contract_for("openpose"),
    options=OPTIONS,
    weights=(DETECTOR_WEIGHTS, POSE_WEIGHTS),
    offline="embedded:openpose",
)
