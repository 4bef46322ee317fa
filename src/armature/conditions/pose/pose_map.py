"""An OpenPose JSON file as a condition map."""

from __future__ import annotations

import math
from pathlib import Path

from armature.conditions.picture.reading import SMALLEST_SIDE, Pixels, pixel_limit
from armature.conditions.pose.drawing import draw_pose
from armature.conditions.pose.pose import Pose, read_poses
from armature.errors import ConditionError


def pose_pixels(path: Path) -> Pixels:
    """The people of an OpenPose JSON file, drawn at the size of its canvas; see `read_poses` and `draw_pose`.

    Where no canvas is stated, the joints lie in its middle: as far from its right and lower edge as from its left and
    upper one.
    Raises ConditionError for a file that cannot be read or drawn, and for one in which no joint is seen.
    """
    import numpy as np

    name = repr(str(path))
    sheet = read_poses(path)
    seen = sum(pose.seen for pose in sheet.people)
    if not seen:
        raise ConditionError(f"{name} has nobody in it: no joint with a score above 0.")
    notes = [f"{seen} joints of {len(sheet.people)} {'person' if len(sheet.people) == 1 else 'people'} were drawn."]
    size = sheet.size
    if size is None:
        size = _around(sheet.people, name)
        notes.append(f"The file states no canvas_width and canvas_height; {size[0]} x {size[1]} px were assumed.")
    drawn = np.asarray(draw_pose(sheet.people, size), dtype=np.float32) / np.float32(255)
    if not drawn.any():
        raise ConditionError(f"All joints of {name} lie outside its canvas of {size[0]} x {size[1]} px.")
    return Pixels(drawn, tuple(notes))


def _around(people: tuple[Pose, ...], name: str) -> tuple[int, int]:
    """(width, height) of a canvas in whose middle the joints lie."""
    joints = [joint for pose in people for joint in pose.joints if joint is not None]
    if all(0 <= value <= 1 for joint in joints for value in (joint.x, joint.y)):
        raise ConditionError(
            f"{name} has its joints in parts of a canvas that it does not state; add canvas_width and canvas_height."
        )
    sides = []
    for axis in (0, 1):
        values = [joint[axis] for joint in joints]
        sides.append(max(SMALLEST_SIDE, math.ceil(max(values) + max(0.0, min(values)))))
    if sides[0] * sides[1] > (limit := pixel_limit()):
        raise ConditionError(
            f"The joints of {name} need a canvas of {sides[0]} x {sides[1]} px, above the limit of {limit} pixels."
        )
    return sides[0], sides[1]
