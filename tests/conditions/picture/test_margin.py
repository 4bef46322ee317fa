import io

import numpy as np
import pytest
from drawings import lines, photo
from PIL import Image

from armature.conditions.control_map import prepare_control
from armature.conditions.extract import extract
from armature.conditions.extractor import notes_of
from armature.conditions.kinds import contract_for
from armature.conditions.picture.drawing import MARGIN
from armature.conditions.picture.margin import find_margin
from armature.errors import ConditionError
from armature.toyworld.scene import scene

SKETCH = contract_for("sketch")
EDGES, PAPER = np.asarray(lines(size=200)), np.asarray(lines(0, 255, size=200))
TRUTH = EDGES > 127
MARGINS = {
    "one pixel": (1, 1, 1, 1),
    "5 %": (11, 11, 11, 11),
    "10 %": (25, 25, 25, 25),
    "20 %": (67, 67, 67, 67),
    "most of the picture": (150, 150, 150, 150),
    "left": (0, 0, 60, 0),
    "bottom": (0, 120, 0, 0),
    "top and bottom": (40, 40, 0, 0),
}


def framed(picture, margin, tone):
    top, bottom, left, right = margin
    return np.pad(picture, ((top, bottom), (left, right)), constant_values=tone)


def control(picture):
    return prepare_control(picture, SKETCH)


@pytest.mark.parametrize("margin", MARGINS.values(), ids=MARGINS)
@pytest.mark.parametrize(
    ("picture", "tone"), [(EDGES, 255), (EDGES, 128), (PAPER, 0), (PAPER, 128)], ids=["white", "grey", "black", "dim"]
)
def test_a_margin_is_ground_whatever_its_width_and_tone(picture, tone, margin):
    made = control(framed(picture, margin, tone))
    assert ((made.tensor[0, 0].numpy() > 0.5) == framed(TRUTH, margin, False)).all()
    assert MARGIN in made.notes
    np.testing.assert_array_equal(
        np.asarray(extract("sketch", framed(picture, margin, tone))) > 0, framed(TRUTH, margin, False)
    )


@pytest.mark.parametrize(("picture", "ground"), [(EDGES, 0), (PAPER, 255)])
def test_a_margin_in_the_tone_of_the_ground_is_not_told(picture, ground):
    for given in (picture, framed(picture, MARGINS["20 %"], ground)):
        assert find_margin(given[..., None].astype(np.float32) / 255) is None
        assert MARGIN not in control(given).notes


def test_two_margins_round_each_other_both_go():
    margin = MARGINS["5 %"]
    made = control(framed(framed(EDGES, margin, 255), margin, 128))
    assert ((made.tensor[0, 0].numpy() > 0.5) == framed(framed(TRUTH, margin, False), margin, False)).all()


def test_a_margin_blurred_by_scaling_and_jpeg_leaves_no_frame():
    picture = Image.fromarray(framed(EDGES, MARGINS["10 %"], 255)).resize((371, 371), Image.Resampling.BICUBIC)
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=80)
    made = control(Image.open(file)).tensor[0, 0].numpy() > 0.5
    truth = Image.fromarray(framed(EDGES, MARGINS["10 %"], 0)).resize((371, 371), Image.Resampling.BICUBIC)
    assert (made != (np.asarray(truth) > 127)).mean() < 0.002


def test_transparent_parts_round_an_edge_map_are_a_margin():
    """The ground of the map shows that it is no white ink, so what is transparent is laid on white."""
    whole = np.zeros((250, 250, 4), np.uint8)
    whole[25:225, 25:225, :3], whole[25:225, 25:225, 3] = EDGES[..., None], 255
    made = control(Image.fromarray(whole))
    assert ((made.tensor[0, 0].numpy() > 0.5) == framed(TRUTH, MARGINS["10 %"], False)).all()


def test_an_empty_map_with_a_margin_is_empty():
    with pytest.raises(ConditionError, match="The sketch control is all black: it holds no line"):
        control(framed(np.zeros((200, 200), np.uint8), MARGINS["one pixel"], 255))


def test_a_photo_in_a_white_margin_stays_a_photo():
    picture = np.pad(np.asarray(photo()), ((20, 20), (20, 20), (0, 0)), constant_values=255)
    made = control(picture)
    assert "looks like a picture" in " ".join(made.notes)
    assert MARGIN not in made.notes
    assert notes_of(extract("sketch", picture)) == ()


@pytest.mark.parametrize("seed", range(6))
def test_sky_and_ground_of_a_plain_illustration_are_no_margin(seed):
    picture = np.asarray(scene(seed, 192).image)
    assert MARGIN not in control(picture).notes
    assert notes_of(extract("sketch", picture)) == ()


def test_a_filled_square_on_paper_is_a_drawing():
    square = np.full((200, 200), 255, np.uint8)
    square[60:140, 60:140] = 0
    assert MARGIN not in control(square).notes
