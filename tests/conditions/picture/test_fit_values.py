import numpy as np
import pytest
from PIL import Image

from armature.conditions.picture.fit import fit_note, fit_picture, fit_values, resize
from armature.errors import ConditionError


@pytest.mark.parametrize("fit", ["resize", "crop", "pad", "stretch"])
@pytest.mark.parametrize("content", ["picture", "label", "line"])
@pytest.mark.parametrize("size", [(64, 64), (17, 33), (200, 8), (31, 90)])
def test_the_target_size_is_always_met(fit, content, size):
    values = np.random.default_rng(0).random((50, 70, 3), dtype=np.float32)
    assert fit_values(values, size, fit, content=content).shape == (*size, 3)


def test_labels_gain_no_colour():
    values = np.random.default_rng(0).choice([0.0, 0.25, 1.0], (40, 40, 3)).astype(np.float32)
    for size in ((97, 55), (13, 20)):
        assert set(np.unique(fit_values(values, size, content="label"))) <= {0.0, 0.25, 1.0}


def test_a_thin_line_survives_shrinking():
    values = np.zeros((128, 128, 1), np.float32)
    values[:, 37] = values[90, :] = 1
    small = fit_values(values, (32, 32), content="line")[..., 0]
    assert (small.max(axis=1) == 1).all()
    assert (small.max(axis=0) == 1).all()
    assert small.mean() < 0.1


def test_pad_centres_and_fills():
    padded = fit_values(np.ones((10, 20, 1), np.float32), (20, 20), "pad", fill=0.5)[..., 0]
    assert (padded[:5] == 0.5).all()
    assert (padded[5:15] == 1).all()
    assert (padded[15:] == 0.5).all()


def test_crop_keeps_the_scale_and_resize_keeps_the_proportions():
    values = np.arange(64, dtype=np.float32).reshape(8, 8, 1) / 64
    np.testing.assert_array_equal(fit_values(values, (4, 4), "crop"), values[2:6, 2:6])
    wide = np.tile(np.linspace(0, 1, 80, dtype=np.float32)[None, :, None], (40, 1, 1))
    covered = fit_values(wide, (20, 20), "resize")[..., 0]
    assert covered[0, 0] == pytest.approx(0.25, abs=0.03)
    assert covered[0, -1] == pytest.approx(0.75, abs=0.03)


def test_same_size_is_untouched_and_values_stay_in_range():
    values = np.random.default_rng(0).random((16, 16, 1), dtype=np.float32)
    assert fit_values(values, (16, 16)) is values
    steps = (values > 0.5).astype(np.float32)
    enlarged = fit_values(steps, (50, 50))
    assert enlarged.min() >= 0
    assert enlarged.max() <= 1


def test_pil_pictures_fit_as_well():
    assert fit_picture(Image.new("L", (30, 20)), (8, 16)).size == (8, 16)
    assert fit_picture(Image.new("RGB", (30, 20)), (8, 16), "pad").mode == "RGB"


def test_notes_and_errors():
    assert fit_note((64, 64), (64, 64), "stretch") is None
    assert fit_note((64, 64), (32, 32), "stretch") == "Scaled from 64 x 64 to 32 x 32 px."
    assert fit_note((64, 96), (32, 32), "pad") == "Scaled to fit inside and padded from 96 x 64 to 32 x 32 px."
    with pytest.raises(ConditionError, match="Unknown fit 'fill'; expected one of resize, crop, pad, stretch"):
        fit_values(np.zeros((8, 8, 1), np.float32), (4, 4), "fill")  # type: ignore[arg-type]
    with pytest.raises(ConditionError, match=r"is 4 x 0 px; both must be at least 1"):
        fit_values(np.zeros((8, 8, 1), np.float32), (0, 4))


def test_nearest_pixels_are_those_under_the_middle_of_the_target():
    """Of five pixels in a row three are asked: the middles lie in pixels 0, 2 and 4, not 0, 1 and 3."""
    row = np.arange(5, dtype=np.uint8).reshape(1, 5).repeat(5, 0)
    assert resize(row, (5, 3), "label")[0].tolist() == [0, 2, 4]
    for content in ("label", "line"):
        assert resize(row, (5, 15), content)[0].tolist() == sorted([*range(5)] * 3)


@pytest.mark.parametrize("content", ["label", "picture"])
@pytest.mark.parametrize("shape", [(16, 208), (120, 52), (120, 208)])
def test_resizing_favours_no_side(content, shape):
    values = np.random.default_rng(0).integers(0, 256, (40, 52, 3), dtype=np.uint8)
    turned = resize(np.ascontiguousarray(values[::-1, ::-1]), shape, content)[::-1, ::-1]
    assert np.abs(turned.astype(int) - resize(values, shape, content)).max() <= (0 if content == "label" else 1)


@pytest.mark.parametrize("content", ["label", "picture", "line"])
@pytest.mark.parametrize("channels", [(), (1,), (3,), (5,)])
def test_bytes_stay_bytes_and_mean_what_floats_mean(content, channels):
    values = np.random.default_rng(0).integers(0, 256, (40, 52, *channels), dtype=np.uint8)
    for shape in ((20, 26), (80, 104), (21, 90)):
        whole = resize(values, shape, content)
        assert whole.dtype == np.uint8
        assert whole.shape == (*shape, *channels)
        floats = resize(values.astype(np.float32) / 255, shape, content)
        assert np.abs(floats * 255 - whole).max() <= (1 if content == "picture" else 1e-3)
