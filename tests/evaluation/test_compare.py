"""Maps against maps: depth up to scale and shift where that is all there is, classes by their palette."""

import numpy as np
import pytest

from armature.errors import ConditionError
from armature.evaluation.compare import aligned_rmse, class_numbers, colour_distance, mean_iou, rmse

COLOURS = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255]], np.uint8)
RAMP = np.tile(np.arange(0, 128, dtype=np.uint8), (16, 1))


def painted(classes):
    return COLOURS[np.asarray(classes)]


def test_plain_errors_run_from_0_to_1():
    white, black = np.full((4, 4, 3), 255, np.uint8), np.zeros((4, 4, 3), np.uint8)
    assert rmse(RAMP, RAMP) == 0
    assert rmse(white, black) == 1
    assert colour_distance(white, black) == pytest.approx(1)


def test_relative_depth_is_compared_up_to_scale_and_shift():
    other = (RAMP // 2 + 100).astype(np.uint8)
    assert rmse(RAMP, other) > 0.2
    assert aligned_rmse(RAMP, other) < 0.005


def test_depth_turned_round_is_no_better_than_none():
    turned = 127 - RAMP
    flat = np.full_like(RAMP, 9)
    assert aligned_rmse(RAMP, turned) == pytest.approx(aligned_rmse(RAMP, flat))


def test_mean_iou_counts_the_given_classes_alike():
    given = painted([[0, 0, 0, 1]])
    assert mean_iou(given, given, COLOURS) == 1
    assert mean_iou(given, painted([[0, 0, 1, 1]]), COLOURS) == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert mean_iou(given, painted([[2, 2, 2, 2]]), COLOURS) == 0


def test_what_has_no_class_is_not_asked_for():
    given = painted([[0, 0, 1, 1]])
    given[0, 0] = (90, 90, 90)
    assert class_numbers(given, COLOURS).tolist() == [[-1, 0, 1, 1]]
    assert mean_iou(given, painted([[2, 0, 1, 1]]), COLOURS) == 1
    assert mean_iou(np.full_like(given, 90), given, COLOURS) == 1


def test_maps_of_different_sizes_are_refused():
    with pytest.raises(ConditionError, match=r"Maps of shapes \(16, 128\) and \(16, 127\)"):
        rmse(RAMP, RAMP[:, 1:])
