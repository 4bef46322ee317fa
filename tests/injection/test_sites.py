"""Sites are found by structure in every U-Net family, named, and refused elsewhere."""

import pytest
import torch
from diffusers import UNet2DModel, UNetMotionModel, UNetSpatioTemporalConditionModel
from small_models import motion_unet, sd_unet, xl_unet

from armature import AttachError
from armature.injection.sites import find_sites


def names(unet):
    return [site.name for site in find_sites(unet).all]


def test_sd_takes_features_after_the_last_layer_of_every_level():
    assert names(sd_unet(layers=2)) == [
        "down_blocks.0.attentions.1",
        "down_blocks.1.attentions.1",
        "down_blocks.2.attentions.1",
        "down_blocks.3.resnets.1",
    ]


def test_inpainting_and_other_depths_and_widths_have_the_same_sites():
    assert names(sd_unet(widths=(16, 48), layers=3, in_channels=9)) == [
        "down_blocks.0.attentions.2",
        "down_blocks.1.resnets.2",
    ]
    assert find_sites(sd_unet(widths=(16, 48))).widths == (16, 48)


def test_sdxl_takes_feature_0_after_the_first_downsampler_and_feature_3_after_the_middle():
    assert names(xl_unet(layers=2)) == [
        "down_blocks.0.downsamplers.0",
        "down_blocks.1.attentions.1",
        "down_blocks.2.attentions.1",
        "mid_block",
    ]
    site_map = find_sites(xl_unet())
    assert site_map.family.key == "sdxl"
    assert site_map.counts == (3, 4)
    assert [site.size((33, 32)) for site in site_map.all] == [(17, 16), (17, 16), (9, 8), (9, 8)]


def test_animatediff_takes_features_after_the_last_motion_module():
    assert names(motion_unet(layers=2)) == [
        "down_blocks.0.motion_modules.1",
        "down_blocks.1.motion_modules.1",
        "down_blocks.2.motion_modules.1",
    ]


def test_animatediff_sdxl_has_the_sites_of_both():
    unet = UNetMotionModel(
        block_out_channels=(32, 64),
        layers_per_block=1,
        down_block_types=("DownBlockMotion", "CrossAttnDownBlockMotion"),
        up_block_types=("CrossAttnUpBlockMotion", "UpBlockMotion"),
        num_attention_heads=4,
        motion_num_attention_heads=4,
        cross_attention_dim=32,
        norm_num_groups=16,
    )
    assert names(unet) == ["down_blocks.0.downsamplers.0", "down_blocks.1.motion_modules.0", "mid_block"]


def test_odd_latents_halve_upwards():
    sizes = [site.size((33, 17)) for site in find_sites(sd_unet()).all]
    assert sizes == [(33, 17), (17, 9), (9, 5), (5, 3)]


def test_the_sites_can_be_printed():
    text = str(find_sites(sd_unet()))
    assert text.splitlines()[0] == "UNet2DConditionModel (SD 1.x / 2.x layout, widths [32, 32, 64, 64])"
    assert "feature 3: down_blocks.3.resnets.0, 64 channels, latent / 8" in text


def test_a_compiled_unet_shows_the_same_sites():
    unet = sd_unet()
    assert names(torch.compile(unet, backend="eager")) == names(unet)


@pytest.mark.parametrize(
    ("unet", "found"),
    [
        (
            UNet2DModel(
                block_out_channels=(32, 64),
                down_block_types=("DownBlock2D", "AttnDownBlock2D"),
                up_block_types=("AttnUpBlock2D", "UpBlock2D"),
            ),
            "UNet2DModel with the encoder blocks",
        ),
        (
            UNetSpatioTemporalConditionModel(
                block_out_channels=(32, 64),
                num_attention_heads=(2, 4),
                down_block_types=("CrossAttnDownBlockSpatioTemporal", "DownBlockSpatioTemporal"),
                up_block_types=("UpBlockSpatioTemporal", "CrossAttnUpBlockSpatioTemporal"),
            ),
            r"'CrossAttnDownBlockSpatioTemporal', 'DownBlockSpatioTemporal'",
        ),
        (torch.nn.Linear(2, 2), "No sites are known in Linear. Features fit"),
    ],
)
def test_an_unknown_unet_raises_and_names_what_was_found(unet, found):
    with pytest.raises(AttachError, match=found):
        find_sites(unet)
