"""Sheets have the size that their tiles need; maps come back from tensors as they went in."""

import numpy as np
import torch

from armature.conditions.kinds import contract_for
from armature.data.encoding.batch import control_tensor
from armature.evaluation.maps import coloured, control_map, grey
from armature.evaluation.sheet import GAP, HEAD, contact_sheet, labelled_sheet, sheet_size


def tile(width, height, value=200):
    return np.full((height, width, 3), value, np.uint8)


def test_small_tiles_are_enlarged_and_large_ones_shrunk():
    assert contact_sheet(["a", "b"], [[tile(64, 64)] * 2] * 3).size == sheet_size(2, 3, (128, 128))
    assert contact_sheet(["a"], [[tile(1024, 512)]]).size == sheet_size(1, 1, (512, 256))


def test_tiles_of_different_sizes_keep_their_proportions():
    sheet = np.asarray(contact_sheet(["a", "b"], [[tile(128, 128, 0), tile(64, 128, 0)]]))
    assert sheet.shape[:2] == sheet_size(2, 1, (128, 128))[::-1]
    row = sheet[HEAD + GAP + 64, :, 0]
    assert (row == 0).sum() == 128 + 64


def test_labels_stand_below_their_tiles_and_never_run_into_the_next():
    words = "a red house and a green tree on grass on a sunny day with many words behind them and more of them"
    sheet = np.asarray(
        labelled_sheet([("short", tile(64, 64, 0)), (words, tile(64, 64, 0)), ("x" * 200, tile(64, 32))])
    )
    below = 3 * HEAD
    assert sheet.shape[:2] == (GAP + 2 * (256 + below + GAP), GAP + 2 * (256 + GAP))
    assert (sheet[GAP : GAP + 256, GAP : GAP + 256] == 0).all()
    inked = (sheet < 128).all(axis=2)
    # One line, three lines, and nothing in the gaps.
    first, second = inked[GAP + 256 : GAP + 256 + below, : 256 + GAP], inked[GAP + 256 : GAP + 256 + below, 256 + GAP :]
    assert [part[number * HEAD : (number + 1) * HEAD].any() for part in (first, second) for number in range(3)] == [
        True, False, False, True, True, True,
    ]  # fmt: skip
    assert not inked[:, GAP + 256 : 2 * GAP + 256].any()
    assert not inked[:, -GAP:].any()


def test_a_sheet_of_many_stays_of_bearable_size():
    assert max(labelled_sheet([("a", tile(512, 512))] * 400).size) <= 8256 + GAP + 20 * HEAD


def test_grey_maps_stand_beside_pictures():
    sheet = contact_sheet(["a", "b"], [[np.zeros((128, 128), np.uint8), tile(128, 128)]])
    assert sheet.mode == "RGB"


def test_maps_come_back_from_the_adapters_tensor():
    pixels = np.random.default_rng(0).integers(0, 256, (3, 8, 8), np.uint8)
    contract = contract_for("openpose", family="sdxl")
    assert contract.order == "BGR"
    seen = control_tensor(torch.from_numpy(pixels[None]), contract, torch.device("cpu"))
    framed = pixels.transpose(1, 2, 0)
    assert torch.equal(seen[0, 0], torch.from_numpy(pixels[2]) / 255)
    assert np.array_equal(control_map(seen[0], contract), framed)
    one = contract_for("sketch")
    seen = control_tensor(torch.from_numpy(pixels[None, :1]), one, torch.device("cpu"))
    assert np.array_equal(control_map(seen[0], one), pixels[0])


def test_the_brightest_channel_is_a_maps_brightness():
    blue = np.zeros((2, 2, 3), np.uint8)
    blue[..., 2] = 255
    assert (grey(blue) == 255).all()
    assert coloured(grey(blue)).shape == (2, 2, 3)
