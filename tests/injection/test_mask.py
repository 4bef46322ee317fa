"""Masks come from anything, and weaken a control where they are dark, at every level."""

import numpy as np
import pytest
import torch
from PIL import Image
from small_parts import half_mask

from armature import ArmatureError
from armature.injection.mask import mask_at, read_masks


def test_every_form_of_one_mask_reads_the_same(tmp_path):
    picture = half_mask()
    path = tmp_path / "mask.png"
    picture.save(path)
    array = np.asarray(picture)
    forms = [path, str(path), picture, picture.convert("RGB"), array, array / 255.0, array > 0,
             torch.from_numpy(array.copy()), array[None], array[..., None], [picture]]  # fmt: skip
    masks = [read_masks(form) for form in forms]
    assert masks[0].shape == (1, 1, 64, 64)
    assert masks[0].mean() == 0.5
    assert all(torch.equal(mask, masks[0]) for mask in masks)


def test_a_level_sees_the_average_of_what_its_cells_cover():
    mask = torch.zeros(1, 1, 8, 8)
    mask[..., :3] = 1
    assert mask_at(mask, (2, 2)).tolist() == [[[[0.75, 0.0], [0.75, 0.0]]]]


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (np.zeros((8, 8)), "black everywhere"),
        (np.full((8, 8), 2.0), "Floats from 2 to 2 are not a picture in 0..1"),
        (np.full((8, 8), np.nan), "holds NaN"),
        (np.ones(8), r"A mask has shape \(8,\); expected \(height, width\)"),
        ([], "needs at least one"),
        ([Image.new("L", (8, 8), 255), Image.new("L", (9, 8), 255)], r"found sizes \[\(8, 8\), \(8, 9\)\]"),
    ],
)
def test_a_mask_that_is_none_is_refused(mask, message):
    with pytest.raises(ArmatureError, match=message):
        read_masks(mask)
