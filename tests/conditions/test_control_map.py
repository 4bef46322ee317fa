from dataclasses import replace

import numpy as np
import pytest
import torch
from drawings import lines, photo
from PIL import Image

from armature.conditions.control_map import prepare_control
from armature.conditions.kinds import contract_for
from armature.conditions.palettes import palette_colours
from armature.errors import ConditionError

SKETCH, DEPTH, OPENPOSE = contract_for("sketch"), contract_for("depth"), contract_for("openpose")


def test_a_clean_map_passes_through_bit_for_bit_and_without_a_word():
    control = prepare_control(lines(), SKETCH)
    np.testing.assert_array_equal(control.tensor[0, 0].numpy(), np.asarray(lines()) / 255)
    assert control.tensor.dtype == torch.float32
    assert control.notes == ()
    assert control.picture.mode == "L"


def test_float_tensors_keep_their_values():
    values = torch.rand(2, 3, 24, 32)
    control = prepare_control(values, DEPTH)
    torch.testing.assert_close(control.tensor, values, rtol=0, atol=0)
    assert control.notes == ()


def test_the_tensor_never_shares_memory_with_the_source():
    source = torch.rand(1, 3, 24, 32)
    prepare_control(source, DEPTH).tensor.zero_()
    assert source.max() > 0


def test_black_on_white_is_inverted_and_told():
    control = prepare_control(lines(0, 255), SKETCH)
    np.testing.assert_array_equal(control.tensor, prepare_control(lines(), SKETCH).tensor)
    assert control.notes == ("Dark lines on light paper were turned into white lines on black.",)


def test_coloured_and_grey_lines_are_cut_and_told():
    control = prepare_control(lines((0, 0, 255), (0, 0, 0), "RGB"), SKETCH)
    assert set(control.tensor.unique().tolist()) == {0.0, 1.0}
    assert control.notes == ("Colours were reduced to brightness.",)
    assert "Grey levels were cut at 0.5" in prepare_control(lines(200, 0), SKETCH).notes[0]


def test_a_photo_for_lines_is_told():
    assert "looks like a picture, not like lines" in " ".join(prepare_control(photo(), SKETCH).notes)


def test_bgr_reverses_the_tensor_not_the_picture():
    red = Image.new("RGB", (16, 16), (255, 0, 0))
    control = prepare_control(red, replace(OPENPOSE, order="BGR"))
    assert control.tensor[0, :, 0, 0].tolist() == [0, 0, 1]
    assert control.picture.getpixel((0, 0)) == (255, 0, 0)
    assert control.notes == ("Channels go in as blue, green, red: this adapter was trained so.",)


def test_range_is_applied():
    control = prepare_control(np.eye(16, dtype=np.float32), replace(DEPTH, range=(-1.0, 1.0)))
    assert control.tensor.min() == -1
    assert control.tensor.max() == 1


def test_grey_for_coloured_kinds_is_told():
    assert "seg control is grey" in prepare_control(Image.new("L", (16, 16), 99), contract_for("seg")).notes[0]
    assert prepare_control(Image.new("L", (16, 16), 99), DEPTH).notes == ()


def test_sizes_are_fitted_and_told():
    control = prepare_control(lines(), SKETCH, size=(96, 64))
    assert tuple(control.tensor.shape) == (1, 1, 64, 96)
    assert set(control.tensor.unique().tolist()) == {0.0, 1.0}
    assert control.notes == ("Stretched from 192 x 192 to 96 x 64 px.",)


def test_label_maps_gain_no_colour_when_fitted():
    colours = palette_colours("coco-stuff")
    assert colours is not None
    labels = colours[np.random.default_rng(0).integers(0, 9, (40, 40))]
    control = prepare_control(labels, contract_for("seg"), size=(51, 77))
    got = np.unique((control.tensor[0] * 255).round().to(torch.uint8).flatten(1).T.numpy(), axis=0)
    assert {tuple(row) for row in got.tolist()} <= {tuple(row) for row in colours.tolist()}
    assert control.notes == ("Stretched from 40 x 40 to 51 x 77 px.",)


def test_a_wrong_palette_is_told():
    ade = palette_colours("ade20k")
    assert ade is not None
    control = prepare_control(ade[np.random.default_rng(0).integers(0, 150, (40, 40))], contract_for("seg"))
    assert "are not in the coco-stuff palette" in control.notes[0]


def test_a_list_is_a_batch():
    control = prepare_control([lines(), lines(0, 255)], SKETCH)
    assert tuple(control.tensor.shape) == (2, 1, 192, 192)
    with pytest.raises(ConditionError, match=r"different sizes \(width, height\) \[\(64, 64\), \(192, 192\)\]"):
        prepare_control([lines(), lines(size=64)], SKETCH)
    assert tuple(prepare_control([lines(), lines(size=64)], SKETCH, size=(32, 32)).tensor.shape) == (2, 1, 32, 32)


@pytest.mark.parametrize(
    ("source", "contract", "message"),
    [
        (Image.new("L", (16, 16)), SKETCH, "The sketch control is all black"),
        (Image.new("L", (16, 16), 255), SKETCH, "The sketch control is blank"),
        (Image.new("RGB", (16, 16)), DEPTH, "The depth control is all black"),
        (lines(100, 0), SKETCH, "empty once cut at 0.5: its brightest value is 0.39"),
        ([], SKETCH, "list of control pictures is empty"),
        (torch.zeros(0, 3, 16, 16), DEPTH, "no pictures in it"),
        (lines(), contract_for(None, in_channels=12), "takes 12 channels, which no picture file has"),
        (torch.zeros(3, 16, 16), contract_for(None, in_channels=12), r"not \(3, 16, 16\)"),
    ],
)
def test_empty_and_impossible_controls_raise(source, contract, message):
    with pytest.raises(ConditionError, match=message):
        prepare_control(source, contract)


def test_empty_is_allowed_on_request():
    assert prepare_control(Image.new("L", (16, 16)), SKETCH, allow_empty=True).tensor.max() == 0


def test_raw_channels_pass_as_tensors():
    values = torch.rand(2, 12, 16, 24)
    control = prepare_control(values, contract_for(None, in_channels=12), size=(12, 8))
    assert tuple(control.tensor.shape) == (2, 12, 8, 12)
