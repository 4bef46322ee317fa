"""Small random models of the shapes that real ones have."""

import torch
from diffusers import UNet2DConditionModel, UNetMotionModel

from armature import Features

WIDTHS = (32, 32, 64, 64)


def sd_unet(widths=WIDTHS, layers=1, in_channels=4, **options):
    """A UNet2DConditionModel with SD 1.x's blocks in small."""
    torch.manual_seed(0)
    count = len(widths)
    unet = UNet2DConditionModel(
        sample_size=8,
        in_channels=in_channels,
        block_out_channels=widths,
        layers_per_block=layers,
        down_block_types=("CrossAttnDownBlock2D",) * (count - 1) + ("DownBlock2D",),
        up_block_types=("UpBlock2D",) + ("CrossAttnUpBlock2D",) * (count - 1),
        cross_attention_dim=32,
        attention_head_dim=8,
        norm_num_groups=16,
        **options,
    )
    return unet.eval().requires_grad_(False)


def xl_unet(widths=(32, 64, 64), layers=1, **options):
    """A UNet2DConditionModel with SDXL's blocks in small."""
    torch.manual_seed(0)
    unet = UNet2DConditionModel(
        sample_size=8,
        block_out_channels=widths,
        layers_per_block=layers,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=64,
        attention_head_dim=(2, 4, 4),
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        transformer_layers_per_block=(1, 1, 1),
        projection_class_embeddings_input_dim=80,
        norm_num_groups=16,
        **options,
    )
    return unet.eval().requires_grad_(False)


def motion_unet(widths=(32, 32, 64), layers=1):
    """A UNetMotionModel with AnimateDiff's blocks in small."""
    torch.manual_seed(0)
    count = len(widths)
    unet = UNetMotionModel(
        sample_size=8,
        block_out_channels=widths,
        layers_per_block=layers,
        down_block_types=("CrossAttnDownBlockMotion",) * (count - 1) + ("DownBlockMotion",),
        up_block_types=("UpBlockMotion",) + ("CrossAttnUpBlockMotion",) * (count - 1),
        cross_attention_dim=32,
        num_attention_heads=4,
        motion_num_attention_heads=4,
        norm_num_groups=16,
        use_motion_mid_block=True,
    )
    return unet.eval().requires_grad_(False)


def unet_inputs(unet, batch=2, latent=(8, 8), seed=3):
    """Arguments of one call of a U-Net: a noisy latent, a timestep, a text context and what SDXL wants besides."""
    generator = torch.Generator().manual_seed(seed)
    config = unet.config
    inputs = {
        "sample": torch.randn(batch, config.in_channels, *latent, generator=generator),
        "timestep": torch.tensor(500),
        "encoder_hidden_states": torch.randn(batch, 5, config.cross_attention_dim, generator=generator),
    }
    if getattr(config, "addition_embed_type", None) == "text_time":
        embeds = torch.randn(batch, 32, generator=generator)
        inputs["added_cond_kwargs"] = {"text_embeds": embeds, "time_ids": torch.ones(batch, 6)}
    return inputs


def video_inputs(unet, videos, frames, latent=(8, 8)):
    """Arguments of one call of a motion U-Net: its context has one row per frame."""
    inputs = unet_inputs(unet, batch=videos * frames, latent=latent)
    sample = inputs["sample"].unflatten(0, (videos, frames)).transpose(1, 2)
    return {**inputs, "sample": sample.contiguous()}


def random_features(sizes, widths, batch=1, seed=5):
    """Features with one random map per (height, width) and width."""
    generator = torch.Generator().manual_seed(seed)
    pairs = zip(widths, sizes, strict=True)
    return Features(tuple(torch.randn(batch, width, *size, generator=generator) for width, size in pairs))
