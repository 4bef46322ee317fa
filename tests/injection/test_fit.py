"""An adapter that does not fit is refused with what was found, what fits and what to do, and nothing is attached."""

import pytest
import torch
from small_models import motion_unet, sd_unet, unet_inputs, xl_unet
from small_parts import drawing, sd_adapter, xl_adapter

import armature
from armature import AttachError, ConditionError, Control
from armature.adapters.networks.full import FullSpec
from armature.adapters.networks.light import LightSpec
from armature.adapters.registry import build_adapter


def refused(unet, control, message, error=AttachError):
    with pytest.raises(error, match=message):
        armature.attach(unet, control)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in unet.modules())


def test_an_sdxl_adapter_on_sd_names_both_and_what_to_do():
    # Equal widths and count, as the published files have them: only the halvings differ.
    adapter = xl_adapter(widths=(32, 32, 64, 64))
    message = (
        r"The sketch adapter \(full_xl, made for SDXL\) does not fit UNet2DConditionModel \(SD 1.x / 2.x layout, "
        r"widths \[32, 32, 64, 64\]\): it has maps halved before levels \[2\]; this U-Net takes maps halved before "
        r"levels \[1, 2, 3\]. Use an adapter made for SD 1.x / 2.x of these widths, or another base model."
    )
    refused(sd_unet(), Control(adapter, drawing()), message)


def test_an_sd_adapter_on_sdxl_is_refused():
    adapter = sd_adapter(widths=(32, 64, 64, 64))
    refused(xl_unet(), Control(adapter, drawing()), r"made for SD 1.x / 2.x\) does not fit .* \(SDXL layout")


def test_other_widths_are_refused():
    adapter = sd_adapter(widths=(16, 32, 64, 64))
    refused(sd_unet(), Control(adapter, drawing()), r"widths \[16, 32, 64, 64\]; this U-Net takes widths \[32, 32, 64")


def test_another_count_is_refused():
    adapter = sd_adapter(widths=(32, 32, 64))
    refused(
        motion_unet((32, 32, 64, 64)), Control(adapter, drawing()), "3 feature maps; this U-Net takes 4 feature maps"
    )


def test_an_sdxl_adapter_may_leave_the_middle_block_alone():
    with armature.attach(xl_unet(), Control(xl_adapter(widths=(32, 64, 64)), drawing())) as attachment:
        assert attachment.controls[0].adapter.spec.levels == 3


def test_a_pipeline_without_a_unet_is_refused():
    class Transformers:
        components = {"vae": None, "transformer": None}  # noqa: RUF012

    message = r"Transformers with the components \['transformer', 'vae'\] has no U-Net; attach to a Stable Diffusion"
    with pytest.raises(AttachError, match=message):
        armature.attach(Transformers(), [])


def test_controls_of_another_type_are_refused():
    with pytest.raises(AttachError, match=r"Controls hold a str; expected armature.Control objects"):
        armature.attach(sd_unet(), ["sketch"])


def test_one_bad_control_among_good_ones_attaches_none():
    good = Control(sd_adapter(widths=(32, 32, 64, 64)), drawing())
    bad = Control(sd_adapter(widths=(32, 32, 64, 64)), "missing.png")
    refused(sd_unet(), [good, bad], "missing.png", ConditionError)


def test_a_number_of_masks_that_fits_no_picture_is_refused():
    control = Control(sd_adapter(widths=(32, 32, 64, 64)), [drawing(), drawing(1)], mask=torch.ones(3, 8, 8))
    refused(sd_unet(), control, "2 pictures and 3 masks; give one mask, or one per picture")


def test_the_fifth_map_of_diffusers_light_type_is_left_unused_with_a_word():
    adapter = build_adapter(LightSpec(1, (32, 32, 64, 64, 64), blocks=1))
    with armature.attach(unet := sd_unet(), Control(adapter, drawing())) as attachment:
        unet(**unet_inputs(unet))
        assert attachment.report().controls[0].notes[0] == (
            "Feature map 4 is left unused: the network gives one more than this U-Net takes."
        )
    other = build_adapter(FullSpec(1, (32, 32, 64, 64, 64), blocks=1))
    refused(sd_unet(), Control(other, drawing()), "it has 5 feature maps, maps halved before")
