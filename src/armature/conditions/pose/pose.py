"""Poses as data: 18 OpenPose joints, read from and written to OpenPose's JSON."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from armature.conditions.picture.reading import pixel_limit
from armature.errors import ConditionError
from armature.files import replacing
from armature.foreign import read_json

JOINTS = (
    "nose",
    "neck",
    "right shoulder",
    "right elbow",
    "right wrist",
    "left shoulder",
    "left elbow",
    "left wrist",
    "right hip",
    "right knee",
    "right ankle",
    "left hip",
    "left knee",
    "left ankle",
    "right eye",
    "left eye",
    "right ear",
    "left ear",
)
# OpenPose's BODY_25 has a middle hip at 8 and feet from 19 on; the rest are the 18 joints in order.
_OF_BODY_25 = (*range(8), *range(9, 19))
# Index in COCO's 17 joints; None is the neck, which COCO lacks.
_OF_COCO = (0, None, 6, 8, 10, 5, 7, 9, 12, 14, 16, 11, 13, 15, 2, 1, 4, 3)
COCO_COUNT = 17
# What a file may state: more is a mistake, or made to break readers.
_MOST_PEOPLE = 500
_MOST_BYTES = 16_000_000
_FARTHEST = 1e6


class Joint(NamedTuple):
    """A joint in pixels from the picture's top left; score 0..1 is the detector's confidence."""

    x: float
    y: float
    score: float = 1.0


@dataclass(frozen=True)
class Pose:
    """One person: 18 joints in OpenPose's order (`JOINTS`), None where a joint is not seen.

    Raises ConditionError for another count or coordinates that are no numbers.
    """

    joints: tuple[Joint | None, ...]

    def __post_init__(self) -> None:
        if len(self.joints) != len(JOINTS):
            raise ConditionError(f"A pose of {len(self.joints)} joints was given; expected {len(JOINTS)} (OpenPose).")
        for name, joint in zip(JOINTS, self.joints, strict=True):
            if joint is not None and not all(math.isfinite(value) for value in joint):
                raise ConditionError(f"The {name} of a pose is at {tuple(joint)}; expected finite numbers or None.")

    @property
    def seen(self) -> int:
        """How many joints are there."""
        return sum(joint is not None for joint in self.joints)

    def scaled(self, x: float, y: float) -> Pose:
        """The pose with its coordinates multiplied, for a picture of another size."""
        return Pose(tuple(joint and Joint(joint.x * x, joint.y * y, joint.score) for joint in self.joints))


@dataclass(frozen=True)
class PoseSheet:
    """The people of one picture; size is (width, height) in pixels, or None where a file does not say."""

    people: tuple[Pose, ...]
    size: tuple[int, int] | None = None


def pose_from_rows(rows: Iterable[Sequence[float] | None], *, least_score: float = 0.0) -> Pose:
    """A pose from 18 rows (x, y) or (x, y, score); None and scores of 0 or below `least_score` mean unseen."""
    joints: list[Joint | None] = []
    for row in rows:
        joint = None if row is None else Joint(float(row[0]), float(row[1]), float(row[2]) if len(row) > 2 else 1.0)
        joints.append(joint if joint is not None and joint.score > 0 and joint.score >= least_score else None)
    return Pose(tuple(joints))


def pose_from_coco(rows: Sequence[Sequence[float]], *, least_score: float = 0.3) -> Pose:
    """An OpenPose pose from COCO's 17 rows (x, y, score); the neck is the middle of the shoulders.

    Joints below `least_score` count as unseen. Raises ConditionError for another number of rows.
    """
    if len(rows) != COCO_COUNT:
        raise ConditionError(f"{len(rows)} joints were given; COCO poses have {COCO_COUNT}.")
    left, right = rows[5], rows[6]
    neck = ((left[0] + right[0]) / 2, (left[1] + right[1]) / 2, min(left[2], right[2]))
    return pose_from_rows((neck if i is None else rows[i] for i in _OF_COCO), least_score=least_score)


def read_poses(source: str | os.PathLike[str] | Mapping[str, Any]) -> PoseSheet:
    """The people of an OpenPose JSON file, of its text's parsed content, or of what ControlNet tools save.

    Takes 18 and 25 joints, and coordinates in pixels or, where all lie in 0..1 and the canvas is stated, in parts
    of it. Hands and faces are passed over.
    Raises ConditionError when the file is missing, no JSON, or has no people list in OpenPose's form, and for numbers
    that no picture has: more than 500 people, coordinates beyond a million pixels, a canvas above the pixel limit.
    """
    name = "The pose data"
    content: Any = source
    if not isinstance(source, Mapping):
        name = repr(str(source))
        content = _json(Path(source), name)
    if isinstance(content, list) and len(content) == 1:  # ControlNet tools wrap the frame in a list
        content = content[0]
    if isinstance(content, list) and len(content) > 1:
        raise ConditionError(f"{name} holds {len(content)} frames; expected one, an object with 'people'.")
    if not isinstance(content, Mapping) or not isinstance(people := content.get("people"), list):
        raise ConditionError(f"{name} has no list 'people'; expected OpenPose JSON.")
    if len(people) > _MOST_PEOPLE:
        raise ConditionError(f"{name} has {len(people)} people; expected at most {_MOST_PEOPLE} in one picture.")
    size = _canvas(content, name)
    return PoseSheet(tuple(_person(person, index, size, name) for index, person in enumerate(people)), size)


def _json(path: Path, name: str) -> Any:
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise ConditionError(f"{name} has {path.stat().st_size} bytes; a pose file has at most {_MOST_BYTES}.")
        return read_json(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ConditionError(f"No pose file can be read at {name} ({error.strerror}).") from error
    except ValueError as error:
        raise ConditionError(f"{name} is not JSON ({error}).") from error


def _canvas(content: Mapping[str, Any], name: str) -> tuple[int, int] | None:
    """(width, height) in pixels; None where a side is not stated, or 0."""
    sides: list[Any] = [content.get("canvas_width"), content.get("canvas_height")]
    if not all(sides):
        return None
    limit = pixel_limit()
    if not all(_within(side, 1, limit) and side == int(side) for side in sides):
        raise ConditionError(f"{name} has a canvas of {_short(sides[0])} x {_short(sides[1])}; expected whole pixels.")
    width, height = (int(side) for side in sides)
    if width * height > limit:
        raise ConditionError(f"{name} has a canvas of {width} x {height} px, above the limit of {limit} pixels.")
    return width, height


def _person(person: Any, index: int, size: tuple[int, int] | None, name: str) -> Pose:
    flat = person.get("pose_keypoints_2d") if isinstance(person, Mapping) else None
    if not isinstance(flat, list) or len(flat) not in (54, 75):
        raise ConditionError(
            f"{name}: person {index} has no 'pose_keypoints_2d' of 18 or 25 joints with x, y, score (54 or 75 numbers)."
        )
    if wrong := [value for value in flat if not _within(value, -_FARTHEST, _FARTHEST)]:
        raise ConditionError(
            f"{name}: person {index} has {_short(wrong[0])} among its joints; expected pixels, and scores in 0..1."
        )
    rows = [flat[i : i + 3] for i in range(0, len(flat), 3)]
    if len(rows) == 25:
        rows = [rows[i] for i in _OF_BODY_25]
    if size is not None and any(flat) and all(0 <= row[0] <= 1 and 0 <= row[1] <= 1 for row in rows):
        rows = [[row[0] * size[0], row[1] * size[1], row[2]] for row in rows]
    return pose_from_rows(rows)


def _within(value: Any, least: float, most: float) -> bool:
    """Whether a value is a number in the range; NaN and the endless are in none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and least <= value <= most


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 24 else f"{text[:20]}..."


def write_poses(path: str | os.PathLike[str], sheet: PoseSheet) -> None:
    """Write OpenPose JSON, pixels to four decimals; the file appears whole or not at all."""
    people = []
    for pose in sheet.people:
        flat = [round(value, 4) for joint in pose.joints for value in (joint or (0.0, 0.0, 0.0))]
        people.append({"person_id": [-1], "pose_keypoints_2d": flat})
    content: dict[str, Any] = {"version": 1.3, "people": people}
    if sheet.size is not None:
        content |= {"canvas_height": sheet.size[1], "canvas_width": sheet.size[0]}
    with replacing(Path(path)) as temporary:
        temporary.write_text(json.dumps(content), encoding="utf-8")
