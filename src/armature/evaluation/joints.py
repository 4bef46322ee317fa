"""Where the joints of people are: read off a drawn pose, and compared with those found in a picture."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from armature.conditions.pose.pose import Pose
from armature.toyworld.maps import WHEEL

# Half the distance of neighbouring joint colours (85): limbs have 60 % of a colour and stay out, and so do most blends.
_NEAR = 40
# Pieces of one disc that lie closer than this share of the longer side are one joint.
_SAME = 0.03

# For each of the 18 joints the places (k, 2) of (x, y) in pixels where one is seen, over all people.
Joints = tuple[np.ndarray, ...]


def drawn_joints(pose: np.ndarray) -> Joints:
    """The joints in an OpenPose drawing, by their colours.

    pose: (h, w, 3) uint8 RGB, limbs at 60 % under full discs as `draw_pose` makes it. Discs that others cover are not
    seen. Joints of different people are not told apart.
    """
    places = []
    for colour in WHEEL:
        distance = np.abs(pose.astype(np.int16) - np.array(colour, np.int16)).max(axis=2)
        count, labels, stats, centres = cv2.connectedComponentsWithStats((distance <= _NEAR).astype(np.uint8))
        del labels
        # Largest first: what lies beside a disc is a blend with its neighbour.
        order = sorted(range(1, count), key=lambda label: -stats[label, cv2.CC_STAT_AREA])
        places.append(_distinct([centres[label] for label in order], _SAME * max(pose.shape[:2])))
    return tuple(places)


def joints_of(people: Sequence[Pose]) -> Joints:
    """The joints of poses, in the same form."""
    seen = [[(j.x, j.y) for pose in people if (j := pose.joints[index]) is not None] for index in range(len(WHEEL))]
    return tuple(np.array(places, float).reshape(-1, 2) for places in seen)


def joint_count(joints: Joints) -> int:
    """How many joints are seen, over all people."""
    return sum(len(places) for places in joints)


def joint_share(given: Joints, found: Joints, reach: float) -> float:
    """Share of the given joints that have one of their kind within `reach` pixels, 0..1.

    Nearest pairs are matched first and every found joint serves once, so that people are matched to the given ones.
    Nobody against nobody scores 1, nobody against somebody 0.
    """
    total = joint_count(given)
    if total == 0:
        return float(joint_count(found) == 0)
    return sum(_hits(these, those, reach) for these, those in zip(given, found, strict=True)) / total


def _hits(given: np.ndarray, found: np.ndarray, reach: float) -> int:
    distance = np.hypot(given[:, None, 0] - found[None, :, 0], given[:, None, 1] - found[None, :, 1])
    hits = 0
    while distance.size and distance.min() <= reach:
        row, column = np.unravel_index(int(distance.argmin()), distance.shape)
        distance[row, :], distance[:, column] = np.inf, np.inf
        hits += 1
    return hits


def _distinct(places: list[np.ndarray], apart: float) -> np.ndarray:
    kept: list[np.ndarray] = []
    for place in places:
        if all(np.hypot(*(place - other)) > apart for other in kept):
            kept.append(place)
    return np.array(kept, float).reshape(-1, 2)
