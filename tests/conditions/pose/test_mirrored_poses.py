"""Mirrored pose maps are those of the mirrored people: left and right change their colours with their places."""

import math

import numpy as np
import pytest

from armature.conditions.pose.drawing import draw_keypose, draw_pose
from armature.conditions.pose.mirror import mirrored_keypose, mirrored_openpose
from armature.conditions.pose.pose import Joint, Pose
from armature.errors import ConditionError

PLACES = [
    (0.50, 0.15), (0.50, 0.30), (0.35, 0.32), (0.25, 0.45), (0.20, 0.60), (0.65, 0.32), (0.80, 0.42), (0.85, 0.30),
    (0.42, 0.60), (0.40, 0.75), (0.38, 0.92), (0.58, 0.60), (0.62, 0.76), (0.66, 0.90), (0.47, 0.12), (0.53, 0.12),
    (0.43, 0.14), (0.57, 0.14),
]  # fmt: skip
SWAPPED = [0, 1, 5, 6, 7, 2, 3, 4, 11, 12, 13, 8, 9, 10, 15, 14, 17, 16]
COCO_SWAPPED = [0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15]
# Joints of one side alone, so that no limbs of two sides lie over each other.
ONE_SIDE = (2, 3, 4, 8, 9, 10, 14, 16)


def mirrored_places(places, size, swapped):
    # Poses are drawn on a larger canvas, whose pixels are mirrored: x lands on size - 1 / factor - x.
    factor = min(4, max(1, math.ceil(512 / size)))
    return [None if places[i] is None else Joint(size - 1 / factor - places[i].x, places[i].y) for i in swapped]


def apart(a, b):
    return np.abs(a.astype(int) - b).max(axis=-1) > 40


def person(size, joints=range(18)):
    return [Joint(x * size, y * size) if i in joints else None for i, (x, y) in enumerate(PLACES)]


@pytest.mark.parametrize("size", [128, 256, 512, 640])
def test_an_openpose_map_of_one_side_becomes_that_of_the_other(size):
    places = person(size, ONE_SIDE)
    drawn = np.asarray(draw_pose(Pose(tuple(places)), (size, size)))
    wanted = np.asarray(draw_pose(Pose(tuple(mirrored_places(places, size, SWAPPED))), (size, size)))
    found = mirrored_openpose(drawn)
    # Outlines of mirrored polygons are rounded to other pixels.
    assert apart(found, wanted).sum() <= 0.03 * (wanted.max(axis=-1) > 0).sum()
    assert apart(drawn[:, ::-1], wanted).mean() > 5 * apart(found, wanted).mean()


@pytest.mark.parametrize("size", [128, 512])
def test_a_whole_person_differs_only_where_limbs_overlap(size):
    places = person(size)
    drawn = np.asarray(draw_pose(Pose(tuple(places)), (size, size)))
    wanted = np.asarray(draw_pose(Pose(tuple(mirrored_places(places, size, SWAPPED))), (size, size)))
    found = mirrored_openpose(drawn)
    assert apart(found, wanted).sum() <= 0.015 * (wanted.max(axis=-1) > 0).sum()


def test_mirroring_twice_gives_the_map_back():
    drawn = np.asarray(draw_pose(Pose(tuple(person(512))), (512, 512)))
    assert np.array_equal(mirrored_openpose(mirrored_openpose(drawn)), drawn)


@pytest.mark.parametrize("size", [128, 512])
def test_a_keypose_map_of_one_side_becomes_that_of_the_other(size):
    places = [Joint(size * (0.2 + 0.01 * i), size * (0.1 + 0.05 * i)) if i % 2 == 0 else None for i in range(17)]
    drawn = np.asarray(draw_keypose([places], (size, size)))
    wanted = np.asarray(draw_keypose([mirrored_places(places, size, COCO_SWAPPED)], (size, size)))
    found = mirrored_keypose(drawn)
    assert apart(found, wanted).sum() <= 0.03 * (wanted.max(axis=-1) > 0).sum()
    assert apart(drawn[:, ::-1], wanted).sum() > 0.3 * (wanted.max(axis=-1) > 0).sum()


def test_an_empty_map_stays_empty():
    assert not mirrored_openpose(np.zeros((64, 64, 3), np.uint8)).any()


@pytest.mark.parametrize("mirrored", [mirrored_openpose, mirrored_keypose])
def test_maps_in_other_colours_are_refused(mirrored):
    white = np.zeros((64, 64, 3), np.uint8)
    white[20:40, 20:24] = 255
    with pytest.raises(ConditionError, match=r"not in its usual colours.*data.flip = 'never'"):
        mirrored(white)
    with pytest.raises(ConditionError, match="map is grey, so left and right cannot be told"):
        mirrored(white[..., 0])
