"""Curves lie where their values are."""

import numpy as np
import pytest

from armature.errors import ArmatureError
from armature.training.logging import curves
from armature.training.logging.curves import SIZE, draw_curves, running_mean

BLUE, ORANGE = (0, 114, 178), (213, 94, 0)


def rows_of(image, colour):
    pixels = np.asarray(image).astype(int)
    # Above the axis and the legend, whose samples have the same colour.
    return np.nonzero((np.abs(pixels[:430] - colour).max(axis=2) == 0).any(axis=1))[0]


def test_a_curve_has_its_colour_and_the_picture_its_size():
    image = draw_curves("Loss", {"loss": [(0, 1.0), (10, 0.0)]})
    assert (image.size, image.mode) == (SIZE, "RGB")
    rows = rows_of(image, BLUE)
    assert rows.max() - rows.min() > 250


def test_higher_values_lie_higher():
    image = draw_curves("Two", {"low": [(0, 0.1), (5, 0.1)], "high": [(0, 0.9), (5, 0.9)]})
    assert rows_of(image, ORANGE).max() < rows_of(image, BLUE).min()


@pytest.mark.parametrize("points", [[(3, 0.5)], [(0, 0.5), (9, 0.5)], [(0, 0.0), (1, 0.0)], [(0, -1e-9), (1, 1e-9)]])
def test_single_and_equal_points_can_be_drawn(points):
    assert len(rows_of(draw_curves("One", {"loss": points}), BLUE))


def test_long_curves_are_drawn_with_their_mean():
    rng = np.random.default_rng(0)
    image = draw_curves("Noisy", {"loss": [(step, rng.random()) for step in range(500)]})
    rows = rows_of(image, BLUE)
    assert rows.max() - rows.min() < 150


def test_running_means_have_fewer_neighbours_at_the_ends():
    assert running_mean([0, 3, 6, 9], 1).tolist() == [1.5, 3, 6, 7.5]
    assert running_mean([1, 2], 0).tolist() == [1, 2]


def test_nothing_cannot_be_drawn():
    with pytest.raises(ArmatureError, match="There is nothing to draw for 'Loss'"):
        draw_curves("Loss", {"loss": []})


def test_a_missing_library_is_named(monkeypatch):
    monkeypatch.setattr(curves, "find_spec", lambda name: None)
    with pytest.raises(ArmatureError, match="matplotlib, which is not installed: pip install matplotlib"):
        draw_curves("Loss", {"loss": [(0, 1.0)]})
