"""Drawings by hand keep to the lines that they follow, and have the habits that they are said to have."""

import cv2
import numpy as np
import pytest

from armature.data.samples.line_augment import Hand, draw_hand, redraw, rough_lines
from armature.toyworld import scene

STEADY = Hand(pen=1.0, pressure=0.0, shake=0.0, overshoot=0.0, corners=0.0, short=0.0, breaks=0.0, double=0.0,
              missing=0.0, turn=0.0, scale=1.0, shift=(0.0, 0.0))  # fmt: skip


def hand(**habits) -> Hand:
    return Hand(**{**STEADY.__dict__, **habits})


def rectangle() -> np.ndarray:
    lines = np.zeros((128, 128), np.uint8)
    cv2.rectangle(lines, (30, 40), (98, 90), 255, 2)
    return lines


def distance(of: np.ndarray, to: np.ndarray) -> float:
    """Mean distance in pixels of the lines of one map to the nearest line of another."""
    return float(cv2.distanceTransform(255 - to, cv2.DIST_L2, 5)[of > 0].mean())


def test_a_steady_hand_draws_the_same_lines():
    for seed in range(6):
        exact = scene(seed).sketch
        drawn = redraw(exact, hand(pen=2.0), np.random.default_rng(0))
        assert distance(drawn, exact) < 0.25
        # The pen is thinner than toyworld's lines, and where those run into a blot it draws the blot's middle.
        assert distance(exact, drawn) < 0.7


@pytest.mark.parametrize("seed", range(40))
def test_every_hand_stays_near_the_lines_it_follows(seed):
    exact = scene(seed).sketch
    drawn = rough_lines(exact, np.random.default_rng(seed))
    assert set(np.unique(drawn)) == {0, 255}
    # Shaking, and turning and shifting by a few percent, move nothing by more than some pixels of 128.
    assert distance(drawn, exact) < 4.5
    assert 0.15 < (drawn > 0).sum() / (exact > 0).sum() < 3.5


def test_the_same_generator_draws_the_same_and_another_one_does_not():
    exact = scene(3).sketch
    assert np.array_equal(rough_lines(exact, np.random.default_rng(1)), rough_lines(exact, np.random.default_rng(1)))
    assert not np.array_equal(
        rough_lines(exact, np.random.default_rng(1)), rough_lines(exact, np.random.default_rng(2))
    )


def test_pens_differ_in_width():
    area = [(redraw(rectangle(), hand(pen=pen), np.random.default_rng(0)) > 0).sum() / 236 for pen in (1.0, 2.0, 3.0)]
    # The outline is 236 pixels long; OpenCV has lines of few widths only.
    assert area == pytest.approx([1.0, 2.0, 3.0], abs=0.5)


def test_an_overlong_stroke_leaves_the_corner_and_a_short_one_opens_it():
    exact = rectangle()
    outside = np.ones_like(exact)
    outside[38:93, 28:101] = 0
    beyond = redraw(exact, hand(overshoot=20.0, corners=1.0), np.random.default_rng(0))
    assert (beyond[outside > 0] > 0).sum() > 8
    assert (redraw(exact, hand(corners=1.0), np.random.default_rng(0))[outside > 0] == 0).all()
    opened = redraw(exact, hand(short=1.0, corners=1.0), np.random.default_rng(0))
    assert _closed(redraw(exact, STEADY, np.random.default_rng(0)))
    assert not _closed(opened)


def _closed(lines: np.ndarray) -> bool:
    """Whether paint poured into the middle stays inside."""
    paper = (lines > 0).astype(np.uint8)
    cv2.floodFill(paper, None, (64, 64), 2)
    return paper[0, 0] != 2


def test_breaks_make_gaps_and_double_strokes_do_not_cover_each_other():
    exact = rectangle()
    steady = redraw(exact, hand(corners=1.0), np.random.default_rng(0))
    broken = redraw(exact, hand(corners=1.0, breaks=1.0), np.random.default_rng(0))
    assert (broken > 0).sum() < 0.97 * (steady > 0).sum()
    assert not _closed(broken)
    double = redraw(exact, hand(corners=1.0, double=1.0), np.random.default_rng(0))
    assert (double > 0).sum() > 1.25 * (steady > 0).sum()


def test_uneven_pressure_makes_a_line_thick_and_thin():
    line = np.zeros((128, 128), np.uint8)
    line[63:65, 4:124] = 255
    even = (redraw(line, hand(pen=2.0), np.random.default_rng(0)) > 0).sum(0)[10:118]
    uneven = (redraw(line, hand(pen=2.0, pressure=0.6), np.random.default_rng(0)) > 0).sum(0)[10:118]
    assert set(even) <= {2, 3}
    assert uneven.min() <= 1
    assert uneven.max() >= 3
    assert uneven.std() > even.std() + 0.2


def test_the_whole_drawing_moves_by_a_few_percent_at_most():
    rng = np.random.default_rng(0)
    corner = np.array([64.0, 64.0])
    hands = [draw_hand(rng) for _ in range(500)]
    for one in hands:
        c, s = np.cos(one.turn) * one.scale, np.sin(one.turn) * one.scale
        moved = np.array([[c, -s], [s, c]]) @ corner + one.shift
        # Of the 128 pixels of a side, at the corner, where it is most: 8 %.
        assert np.hypot(*(moved - corner)) < 0.08 * 128
    still = [one for one in hands if one.turn == 0 and one.scale == 1 and one.shift == (0, 0)]
    assert 0.4 < len(still) / len(hands) < 0.6


def test_lines_of_512_pixels_are_redrawn_in_their_own_measure():
    exact = cv2.resize(rectangle(), (512, 512), interpolation=cv2.INTER_NEAREST)
    drawn = redraw(exact, hand(pen=2.0), np.random.default_rng(0))
    assert (drawn > 0).sum() / (4 * 236) == pytest.approx(8, abs=1)
    assert distance(drawn, exact) < 0.5


def test_soft_lines_keep_their_grey_levels_and_maps_their_shape():
    soft = np.zeros((256, 512), np.uint8)
    soft[100:106] = 128
    drawn = rough_lines(soft, np.random.default_rng(0))
    assert drawn.shape == (256, 512)
    assert 100 < drawn.max() <= 128
    assert not rough_lines(np.zeros((128, 128), np.uint8), np.random.default_rng(0)).any()
