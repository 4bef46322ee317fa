"""Curves lie where their values are."""

import numpy as np
import pytest

from armature.errors import ArmatureError
from armature.training.logging.curves import SIZE, _ticks, draw_curves, running_mean


def rows_of(image, colour):
    pixels = np.asarray(image).astype(int)
    # Below the legend, whose samples have the same colour.
    return np.nonzero((np.abs(pixels[60:] - colour).max(axis=2) == 0).any(axis=1))[0]


def test_a_curve_has_its_colour_and_the_picture_its_size():
    image = draw_curves("Loss", {"loss": [(0, 1.0), (10, 0.0)]})
    assert (image.size, image.mode) == (SIZE, "RGB")
    rows = rows_of(image, (0, 114, 178))
    assert rows.max() - rows.min() > 300


def test_higher_values_lie_higher():
    image = draw_curves("Two", {"low": [(0, 0.1), (5, 0.1)], "high": [(0, 0.9), (5, 0.9)]})
    assert rows_of(image, (213, 94, 0)).max() < rows_of(image, (0, 114, 178)).min()


@pytest.mark.parametrize("points", [[(3, 0.5)], [(0, 0.5), (9, 0.5)], [(0, 0.0), (1, 0.0)], [(0, -1e-9), (1, 1e-9)]])
def test_single_and_equal_points_can_be_drawn(points):
    assert len(rows_of(draw_curves("One", {"loss": points}), (0, 114, 178)))


def test_long_curves_are_drawn_with_their_mean():
    rng = np.random.default_rng(0)
    image = draw_curves("Noisy", {"loss": [(step, rng.random()) for step in range(500)]})
    rows = rows_of(image, (0, 114, 178))
    assert rows.max() - rows.min() < 150


def test_running_means_have_fewer_neighbours_at_the_ends():
    assert running_mean([0, 3, 6, 9], 1) == [1.5, 3, 6, 7.5]
    assert running_mean([1, 2], 0) == [1, 2]


def test_ticks_are_round_and_enclose_the_values():
    assert _ticks([0.13, 0.87]) == pytest.approx([0.0, 0.2, 0.4, 0.6, 0.8, 1.0])
    found = _ticks([120, 10_000])
    assert found[0] <= 120
    assert found[-1] >= 10_000


def test_nothing_cannot_be_drawn():
    with pytest.raises(ArmatureError, match="There is nothing to draw for 'Loss'"):
        draw_curves("Loss", {"loss": []})
