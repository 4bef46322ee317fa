"""Exact condition maps of a scene, from what was drawn and never from the picture."""

from __future__ import annotations

import cv2
import numpy as np

from armature.toyworld.layout import Plan
from armature.toyworld.palette import CLASS_INDEX, CLASSES, COLOUR_NAMES, SEG_TABLE

# The usual OpenPose drawing: limbs as pairs of joints, with a colour per limb and per joint (RGB).
LIMBS: tuple[tuple[int, int], ...] = (
    (1, 2),
    (1, 5),
    (2, 3),
    (3, 4),
    (5, 6),
    (6, 7),
    (1, 8),
    (8, 9),
    (9, 10),
    (1, 11),
    (11, 12),
    (12, 13),
    (1, 0),
    (0, 14),
    (14, 16),
    (0, 15),
    (15, 17),
)
WHEEL: tuple[tuple[int, int, int], ...] = (
    (255, 0, 0),
    (255, 85, 0),
    (255, 170, 0),
    (255, 255, 0),
    (170, 255, 0),
    (85, 255, 0),
    (0, 255, 0),
    (0, 255, 85),
    (0, 255, 170),
    (0, 255, 255),
    (0, 170, 255),
    (0, 85, 255),
    (0, 0, 255),
    (85, 0, 255),
    (170, 0, 255),
    (255, 0, 255),
    (255, 0, 170),
    (255, 0, 85),
)
# Owner numbers below this are classes of the backdrop; object k of the plan has number FIRST_OBJECT + k.
FIRST_OBJECT = 64
# Ground at the horizon is this bright in the depth map; the sky is 0, the nearest ground 255.
FAR = 0.12


def class_map(owner: np.ndarray, plan: Plan) -> np.ndarray:
    """(size, size) uint8 class numbers (palette.CLASSES) from owner numbers."""
    table = np.zeros(256, np.uint8)
    table[: len(CLASSES)] = np.arange(len(CLASSES))
    for index, thing in enumerate(plan.objects):
        table[FIRST_OBJECT + index] = CLASS_INDEX[thing.name]
    return cv2.LUT(owner, table)


def colour_map(owner: np.ndarray, plan: Plan) -> np.ndarray:
    """(size, size) uint8: 0 where no object is, else 1 + the number of the object's colour (palette.COLOURS)."""
    table = np.zeros(256, np.uint8)
    for index, thing in enumerate(plan.objects):
        table[FIRST_OBJECT + index] = 1 + COLOUR_NAMES.index(thing.colour)
    return cv2.LUT(owner, table)


def seg_picture(classes: np.ndarray) -> np.ndarray:
    """(size, size, 3) uint8 RGB of class numbers in the documented palette."""
    return SEG_TABLE[classes]


def depth_map(owner: np.ndarray, plan: Plan) -> np.ndarray:
    """(size, size) uint8, near is bright: sky 0, ground by its distance below the horizon, objects as they stand."""
    size = plan.size
    below = np.clip((np.arange(size) + 0.5 - plan.horizon) / (size - plan.horizon), 0, 1)
    ramp = np.round(255 * (FAR + (1 - FAR) * below)).astype(np.uint8)
    table = np.zeros(256, np.uint8)
    for index, thing in enumerate(plan.objects):
        near = np.clip(0.10 + 0.90 * thing.distance, 0, 1)
        table[FIRST_OBJECT + index] = round(255 * (FAR + (1 - FAR) * near))
    standing = owner >= FIRST_OBJECT
    return np.where(standing, cv2.LUT(owner, table), np.where(owner == CLASS_INDEX["sky"], 0, ramp[:, None]))


def palette_map(picture: np.ndarray) -> np.ndarray:
    """The authors' colour palette, scaled to this world: bicubic down, nearest back. (size, size, 3) uint8.

    They shrink 512 pixels 64 times, to 8 x 8 patches; 8 x 8 patches it is here too, whatever the size.
    """
    height, width = picture.shape[:2]
    small = cv2.resize(picture, (8, 8), interpolation=cv2.INTER_CUBIC)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_NEAREST)


def pose_map(people: list[np.ndarray], size: int) -> np.ndarray:
    """The usual OpenPose drawing: limbs in their colours at 60 %, joints as full discs, on black.

    people: (18, 2) joints (x, y) in pixels each. Returns (size, size, 3) uint8 RGB.
    """
    image = np.zeros((size * 2, size * 2, 3), np.float32)
    width = size / 128
    for joints in people:
        layer = image.copy()
        for (a, b), colour in zip(LIMBS, WHEEL, strict=False):
            start, end = joints[a], joints[b]
            middle, half = (start + end), float(np.hypot(*(end - start)))
            angle = float(np.degrees(np.arctan2(end[1] - start[1], end[0] - start[0])))
            box = ((float(middle[0]), float(middle[1])), (2 * half, 4.4 * width), angle)
            cv2.ellipse(layer, box, colour, -1, cv2.LINE_AA)
        image = np.where(layer.sum(-1, keepdims=True) > 0, layer * 0.6, image)
        for joint, colour in zip(joints, WHEEL, strict=True):
            centre = (round(float(joint[0]) * 2), round(float(joint[1]) * 2))
            cv2.circle(image, centre, max(1, round(2.2 * width)), colour, -1, cv2.LINE_AA)
    return cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA).round().astype(np.uint8)
