"""Drawing poses the way that pose adapters were trained to see them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from armature.conditions.picture.reading import LIMIT_NAME, pixel_limit
from armature.conditions.pose.pose import Joint, Pose
from armature.errors import ConditionError

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

Colour = tuple[int, int, int]

_LIMB_BLEND = 0.6
_REFERENCE = 512  # widths are stated for a picture of this size
_HALF_WIDTH = 4.0

# mmpose's drawing of COCO's 17 joints: middle, left and right parts.
_MIDDLE, _LEFT, _RIGHT = (255, 153, 51), (0, 255, 0), (0, 128, 255)
_KEYPOSE_LIMBS = (
    *(((a, b), _LEFT) for a, b in ((15, 13), (13, 11))),
    *(((a, b), _RIGHT) for a, b in ((16, 14), (14, 12))),
    *(((a, b), _MIDDLE) for a, b in ((11, 12), (5, 11), (6, 12), (5, 6))),
    ((5, 7), _LEFT),
    ((6, 8), _RIGHT),
    ((7, 9), _LEFT),
    ((8, 10), _RIGHT),
    *(((a, b), _MIDDLE) for a, b in ((1, 2), (0, 1), (0, 2), (1, 3), (2, 4), (3, 5), (4, 6))),
)
_KEYPOSE_JOINTS = (*(_MIDDLE,) * 5, *(_LEFT, _RIGHT) * 6)


def draw_pose(people: Pose | Sequence[Pose], size: tuple[int, int]) -> Image.Image:
    """People as OpenPose draws them, mode "RGB" on black.

    Limbs are filled ellipses in the limb's colour at 60 %, joints full discs above them; both are 4 pixels in half
    width for a shorter side of 512, and scale with the picture.
    size: (width, height) in pixels. Nobody gives a black picture. Raises ConditionError for a size below 8 or above the
    pixel limit.
    """
    # Toyworld draws the same people; limb i takes colour i, joint i as well.
    from armature.toyworld.maps import LIMBS, WHEEL

    poses = [people] if isinstance(people, Pose) else list(people)

    def draw(canvas: np.ndarray, factor: float, unit: float) -> None:
        half = _HALF_WIDTH * unit
        for pose in poses:
            for (a, b), colour in zip(LIMBS, WHEEL, strict=False):
                _limb(canvas, pose.joints[a], pose.joints[b], factor, half, colour)
        for pose in poses:
            for joint, colour in zip(pose.joints, WHEEL, strict=True):
                _disc(canvas, joint, factor, half, colour)

    return _drawn(size, draw)


def draw_keypose(people: Sequence[Sequence[Joint | None]], size: tuple[int, int]) -> Image.Image:
    """People of 17 COCO joints as mmpose draws them, mode "RGB" on black: for the sd14v1 keypose adapter.

    Lines 2 pixels wide and discs of radius 2 for a shorter side of 512. size: (width, height) in pixels.
    The colours are mmpose's, read as blue-green-red as the authors' code did: middle orange, left green, right blue.
    Raises ConditionError for people of another number of joints and for a size below 8.
    """
    for joints in people:
        if len(joints) != len(_KEYPOSE_JOINTS):
            raise ConditionError(
                f"A keypose of {len(joints)} joints was given; expected {len(_KEYPOSE_JOINTS)} (COCO)."
            )

    def draw(canvas: np.ndarray, factor: float, unit: float) -> None:
        for joints in people:
            for joint, colour in zip(joints, _KEYPOSE_JOINTS, strict=True):
                _disc(canvas, joint, factor, 2.0 * unit, colour)
            for (a, b), colour in _KEYPOSE_LIMBS:
                _line(canvas, joints[a], joints[b], factor, 2.0 * unit, colour)

    return _drawn(size, draw)


def _drawn(size: tuple[int, int], draw: Callable[[np.ndarray, float, float], None]) -> Image.Image:
    """Call `draw` on a black canvas; small pictures are drawn larger and averaged down, so that limbs stay smooth."""
    import cv2
    import numpy as np
    from PIL import Image

    width, height = size
    if min(size) < 8:
        raise ConditionError(
            f"A pose picture of {width} x {height} px was asked for; expected at least 8 on each side."
        )
    if width * height > (limit := pixel_limit()):
        raise ConditionError(
            f"A pose picture of {width} x {height} px was asked for, above the limit of {limit} pixels; ask for a "
            f"smaller one, or raise the limit with {LIMIT_NAME}."
        )
    factor = min(4, max(1, math.ceil(_REFERENCE / min(size))))
    canvas = np.zeros((height * factor, width * factor, 3), np.uint8)
    draw(canvas, float(factor), min(size) / _REFERENCE * factor)
    if factor > 1:
        canvas = np.asarray(cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA))
    return Image.fromarray(canvas)


def _limb(
    canvas: np.ndarray, start: Joint | None, end: Joint | None, factor: float, half: float, colour: Colour
) -> None:
    import cv2
    import numpy as np

    if start is None or end is None:
        return
    x0, y0, x1, y1 = (value * factor for value in (start.x, start.y, end.x, end.y))
    length = math.hypot(x1 - x0, y1 - y0)
    turn = np.linspace(0, 2 * np.pi, 72, endpoint=False)
    along, aside = length / 2 * np.cos(turn), half * np.sin(turn)
    cos, sin = ((x1 - x0) / length, (y1 - y0) / length) if length > 0 else (1.0, 0.0)
    outline = np.stack([(x0 + x1) / 2 + along * cos - aside * sin, (y0 + y1) / 2 + along * sin + aside * cos], axis=-1)
    # Four binary places: limbs of small pictures would jitter on whole pixels.
    cv2.fillConvexPoly(canvas, _fixed(outline), tuple(_LIMB_BLEND * part for part in colour), cv2.LINE_8, shift=4)


def _disc(canvas: np.ndarray, joint: Joint | None, factor: float, radius: float, colour: Colour) -> None:
    import cv2

    if joint is not None:
        x, y = _fixed([joint.x * factor, joint.y * factor]).tolist()
        cv2.circle(canvas, (x, y), max(16, round(radius * 16)), colour, -1, cv2.LINE_8, shift=4)


def _line(
    canvas: np.ndarray, start: Joint | None, end: Joint | None, factor: float, width: float, colour: Colour
) -> None:
    import cv2

    if start is not None and end is not None:
        x0, y0, x1, y1 = _fixed([start.x * factor, start.y * factor, end.x * factor, end.y * factor]).tolist()
        cv2.line(canvas, (x0, y0), (x1, y1), colour, max(1, round(width)), cv2.LINE_8, shift=4)


def _fixed(values: np.ndarray | list[float]) -> np.ndarray:
    """Coordinates as OpenCV's fixed-point numbers with 4 binary places; far outside ones are held within int32."""
    import numpy as np

    return np.rint(np.clip(np.asarray(values) * 16, -(2**26), 2**26)).astype(np.int32)
