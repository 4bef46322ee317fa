"""Strokes are the middle of the lines, from crossing to crossing."""

import cv2
import numpy as np

from armature.data.samples.line_strokes import strokes
from armature.toyworld import scene


def test_the_strokes_of_a_cross_are_its_four_arms_and_a_circle_is_one_loop():
    cross = np.zeros((64, 64), np.uint8)
    cross[31:33, 10:54] = cross[10:54, 31:33] = 255
    arms = strokes(cross, 0.7)
    assert len(arms) == 4
    # Each begins or ends where they meet, and is 22 pixels long.
    for arm in arms:
        assert min(np.hypot(*(arm[[0, -1]] - (31.5, 31.5)).T)) < 2
        assert 18 < np.hypot(*np.diff(arm, axis=0).T).sum() < 24
    circle = cv2.circle(np.zeros((64, 64), np.uint8), (32, 32), 20, 255, 2)
    (loop,) = strokes(circle, 0.7)
    assert np.array_equal(loop[0], loop[-1])
    assert abs(np.hypot(*(loop - 32).T) - 20).max() < 1.6
    assert strokes(np.zeros((64, 64), np.uint8), 0.7) == []


def test_strokes_lie_on_the_lines_and_reach_all_of_them():
    lines = scene(9).sketch
    drawn = np.zeros_like(lines)
    cv2.polylines(drawn, [np.rint(stroke).astype(np.int32) for stroke in strokes(lines, 0.7)], False, 255)
    # A polyline may leave the middle of a line, which is two pixels wide, by less than a pixel.
    assert ((drawn > 0) & (cv2.dilate(lines, np.ones((3, 3), np.uint8)) == 0)).sum() == 0
    assert cv2.distanceTransform(255 - drawn, cv2.DIST_L2, 5)[lines > 0].max() < 6
