import numpy as np
import pytest
from drawings import lines, photo, photographed
from PIL import Image

from armature.conditions.picture.drawing import clean_drawing, recognise
from armature.conditions.picture.reading import read_pixels
from armature.errors import ConditionError

TRUTH = np.asarray(lines()) > 127


def agreement(picture):
    """F1 between a cleaned map and the true lines."""
    found = np.asarray(picture) > 127
    return 2 * (found & TRUTH).sum() / (found.sum() + TRUTH.sum())


@pytest.mark.parametrize(
    ("drawing", "least"),
    [
        (lines(0, 255), 0.999),
        (lines(90, 255), 0.999),
        (lines((230, 210, 40), (255, 255, 255), "RGB"), 0.999),
        (lines((40, 80, 230), (250, 245, 235), "RGB"), 0.999),
        (lines((0, 0, 0, 255), (0, 0, 0, 0), "RGBA"), 0.999),
        (photographed(lines(50, 245)), 0.95),
        (photographed(lines((60, 60, 160), (240, 240, 240), "RGB")), 0.95),
    ],
    ids=["ink", "pencil", "yellow", "blue", "transparent", "paper photo", "blue pen photo"],
)
def test_drawings_become_white_on_black(drawing, least):
    picture, notes = clean_drawing(drawing)
    assert picture.mode == "L"
    assert agreement(picture) >= least
    assert "Dark lines on light paper were turned into white lines on black." in notes


def test_shadows_and_colours_are_told():
    assert "Uneven light on the paper was evened out." in clean_drawing(photographed(lines(50, 245)))[1]
    assert "Uneven light on the paper was evened out." not in clean_drawing(lines(0, 255))[1]
    coloured = clean_drawing(lines((230, 30, 40), (255, 255, 255), "RGB"))[1]
    assert "Coloured strokes count as lines; their colours are not kept." in coloured


def test_a_map_comes_back_as_it_is():
    picture, notes = clean_drawing(lines())
    np.testing.assert_array_equal(np.asarray(picture), np.asarray(lines()))
    assert notes == ()


def test_paper_grain_leaves_no_specks():
    picture, _ = clean_drawing(photographed(lines(50, 245)))
    away = np.asarray(picture)[:20]
    assert away.max() == 0


def test_what_is_no_drawing_is_refused():
    assert recognise(read_pixels(photo()).values) == "picture"
    with pytest.raises(ConditionError, match="does not look like a drawing on paper"):
        clean_drawing(photo())
    with pytest.raises(ConditionError, match="The drawing is blank"):
        clean_drawing(Image.new("L", (64, 64), 250))
    with pytest.raises(ConditionError, match="The drawing is blank"):
        clean_drawing(photographed(Image.new("L", (192, 192), 245)))
