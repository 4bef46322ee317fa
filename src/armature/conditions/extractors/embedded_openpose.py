"""Poses in toyworld-like pictures by the annotator that ships with Armature."""

from __future__ import annotations

from typing import TYPE_CHECKING

from armature.conditions.extractor import Extractor, Option
from armature.conditions.kinds import contract_for
from armature.conditions.networks.annotate import annotate
from armature.conditions.pose.drawing import draw_pose
from armature.errors import ConditionError

if TYPE_CHECKING:
    from PIL import Image


def embedded_openpose(picture: Image.Image, allow_empty: bool) -> Image.Image:
    """People as OpenPose draws them, mode "RGB". Raises ConditionError when nobody is found, unless allow_empty."""
    people = annotate(picture).people
    if not people and not allow_empty:
        raise ConditionError("No person was found in the picture; pass allow_empty=True for an empty pose.")
    return draw_pose(people, picture.size)


EXTRACTOR = Extractor(
    name="embedded:openpose",
    kind="openpose",
    summary="poses in toyworld-like pictures, offline",
    run=embedded_openpose,
    contract=contract_for("openpose", source="embedded:openpose"),
    options=(Option("allow_empty", False, "give a black map when nobody is found"),),
)
