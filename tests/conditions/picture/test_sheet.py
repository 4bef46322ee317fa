import cv2
import numpy as np
import pytest
from drawings import lines, photo, photographed
from photographs import photograph
from PIL import Image

from armature.conditions.control_map import prepare_control
from armature.conditions.extract import extract
from armature.conditions.extractor import notes_of
from armature.conditions.kinds import contract_for
from armature.conditions.picture.drawing import SHEET, clean_drawing
from armature.conditions.picture.sheet import find_sheet
from armature.toyworld.scene import scene

# The whole sheet; little of the table; a part of the sheet outside the picture; a far slant.
VIEWS = [{}, {"margin": 0.05, "tilt": 0.04}, {"margin": 0.1, "shift": (0.15, 0.1)}, {"margin": 0.2, "tilt": 0.12}]


def grown(mask, by):
    return cv2.dilate(mask.astype(np.uint8), np.ones((by, by), np.uint8)) > 0


@pytest.mark.parametrize("view", VIEWS, ids=["whole", "close", "cut", "slanted"])
@pytest.mark.parametrize("table", ["wood", "cloth", "dark", "light", "stone"])
def test_only_the_strokes_of_a_photographed_sheet_become_lines(table, view):
    taken = photograph(table, seed=5, **view)
    found = np.asarray(extract("sketch", taken.picture)) > 0
    assert SHEET in notes_of(extract("sketch", taken.picture))
    assert grown(found, 3)[taken.strokes].mean() > 0.98
    # Neither the sheet's edges nor anything of the table: no line is off the true strokes.
    assert (found & ~grown(taken.strokes, 7)).sum() <= 0.005 * found.sum()


def test_a_hand_drawing_as_a_control_goes_the_same_way():
    taken = photograph("wood", seed=5)
    made = prepare_control(taken.picture, contract_for("sketch"))
    assert SHEET in made.notes
    np.testing.assert_array_equal(np.asarray(extract("sketch", taken.picture)) > 0, made.tensor[0, 0].numpy() > 0.5)
    assert SHEET in clean_drawing(taken.picture)[1]


def test_the_sheet_is_found_where_it_is():
    taken = photograph("stone", seed=5, shadow=False)
    found = find_sheet(taken.picture.astype(np.float32) / 255)
    assert found is not None
    assert not (found & ~taken.sheet).any()
    assert found[taken.sheet].mean() > 0.88  # a rim along the edges is left out


@pytest.mark.parametrize(
    "picture",
    [
        photo(),
        photographed(lines(50, 245)),
        lines(0, 255),
        lines(),
        Image.fromarray(photograph("wood", blank=True).picture),
        *(scene(seed, 192).image for seed in range(4)),
    ],
)
def test_other_pictures_do_not_change(picture, monkeypatch):
    """A photo, a scan, a map, a blank sheet and painted scenes give what they give without any search for a sheet."""
    made = extract("sketch", picture)
    assert SHEET not in notes_of(made)
    monkeypatch.setattr("armature.conditions.picture.drawing.find_sheet", lambda values: None)
    np.testing.assert_array_equal(np.asarray(made), np.asarray(extract("sketch", picture)))
