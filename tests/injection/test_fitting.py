"""How a control of other proportions than the picture comes to its size, and its mask with it."""

import numpy as np
import pytest
import torch
from PIL import Image
from small_models import sd_unet
from small_parts import SD_WIDTHS, sd_adapter

from armature import AttachError, ConditionError, Control, attach
from armature.conditions.picture.fit import fit_picture
from armature.injection.bound import bind, compute
from armature.injection.mask import fitted_masks
from armature.injection.sites import find_sites

# Adapters of one input channel, taken by a U-Net of these widths.
ADAPTER = sd_adapter()


def wide():
    """A map of 96 x 48 px: a box at its left end, one at its right end, and one in its middle."""
    pixels = np.zeros((48, 96), np.uint8)
    for left in (2, 40, 80):
        pixels[16:32, left : left + 14] = 255
    return Image.fromarray(pixels)


def seen(control, size=(64, 64)):
    """What the adapter is given by attach for a picture of (width, height) pixels."""
    given = []
    hook = control.adapter.register_forward_pre_hook(lambda module, inputs: given.append(inputs[0].clone()))
    unet = sd_unet(SD_WIDTHS)
    try:
        with torch.no_grad(), attach(unet, control):
            unet(torch.zeros(1, 4, size[1] // 8, size[0] // 8), torch.tensor(1), torch.zeros(1, 3, 32))
    finally:
        hook.remove()
    return given[0]


@pytest.mark.parametrize(("fit", "word"), [("stretch", "stretch"), ("crop", "resize"), ("pad", "pad")])
def test_attach_fits_the_picture_by_its_word(fit, word):
    expected = np.asarray(fit_picture(wide(), (64, 64), word, content="line")) > 127
    assert np.array_equal(seen(Control(ADAPTER, wide(), fit=fit))[0, 0].numpy() > 0.5, expected)


def test_crop_cuts_what_hangs_over_and_pad_leaves_black_around():
    cropped = seen(Control(ADAPTER, wide(), fit="crop"))[0, 0].numpy()
    padded = seen(Control(ADAPTER, wide(), fit="pad"))[0, 0].numpy()
    # Cropped, the boxes at both ends are gone; padded, all three are there, between black bars.
    assert cropped[32].sum() == pytest.approx(14 * 64 / 48, abs=1.5)
    assert padded[:16].sum() == padded[48:].sum() == 0
    assert padded[32].sum() == pytest.approx(3 * 14 * 64 / 96, abs=2)


def test_a_picture_of_the_right_proportions_is_the_same_by_every_fit():
    square = wide().crop((0, 0, 48, 48))
    first, second, third = (seen(Control(ADAPTER, square, fit=fit)) for fit in ("stretch", "crop", "pad"))
    assert torch.equal(first, second)
    assert torch.equal(first, third)


def test_the_mask_is_fitted_as_its_control_is():
    mask = torch.zeros(1, 1, 48, 96)
    mask[..., :48] = 1
    # Cropped to its middle 48 columns, the left half is white; padded, the bars are black.
    cropped = fitted_masks(mask, (64, 64), "resize")
    padded = fitted_masks(mask, (64, 64), "pad")
    assert torch.equal(cropped[0, 0, 0] > 0.5, torch.arange(64) < 32)
    assert padded[0, 0, :, :30].mean(dim=1).tolist() == [0.0] * 16 + [1.0] * 32 + [0.0] * 16
    assert fitted_masks(mask, (64, 64), "stretch") is mask


def test_a_bound_control_has_its_mask_fitted():
    mask = Image.new("L", (96, 48), 0)
    mask.paste(255, (0, 0, 48, 48))
    unet = sd_unet(SD_WIDTHS)
    for fit, share in (("stretch", 0.5), ("crop", 0.5), ("pad", 0.25)):
        bound = bind(Control(ADAPTER, wide(), fit=fit, mask=mask), find_sites(unet), None)
        computed = compute(bound, (8, 8), None, torch.device("cpu"))
        assert float(computed.mask.mean()) == pytest.approx(share, abs=0.01)


def test_an_unknown_fit_names_the_known_ones():
    with pytest.raises(AttachError, match="fit is 'cover'; expected one of 'stretch', 'crop', 'pad'"):
        Control(ADAPTER, wide(), fit="cover")


def test_what_is_cut_off_whole_is_told():
    empty = np.zeros((48, 96), np.uint8)
    empty[16:32, 2:12] = 255
    with pytest.raises(ConditionError, match=r"Nothing of the sketch control is left in 64 x 64 px, scaled to cover"):
        seen(Control(ADAPTER, Image.fromarray(empty), fit="crop"))
    mask = torch.zeros(1, 1, 48, 96)
    mask[..., :12] = 1
    with pytest.raises(AttachError, match="Nothing white of the mask is left in 64 x 64 px"):
        fitted_masks(mask, (64, 64), "resize")
