"""A small base around an AutoencoderTiny of eight latent channels."""

import diffusers
import small_bases as small
import torch

CHANNELS = 8


def tiny_autoencoder(seed=0, **options):
    torch.manual_seed(seed)
    widths = {"encoder_block_out_channels": (8,) * 4, "decoder_block_out_channels": (8,) * 4}
    blocks = {"num_encoder_blocks": (1,) * 4, "num_decoder_blocks": (1,) * 4}
    return diffusers.AutoencoderTiny(**widths, **blocks, latent_channels=CHANNELS, **options).eval()


def tiny_pipeline(vae=None):
    """A StableDiffusionPipeline whose latents have eight channels."""
    whole = small.sd_pipeline()
    told = {name: value for name, value in whole.unet.config.items() if not name.startswith("_")}
    config = {**told, "in_channels": CHANNELS, "out_channels": CHANNELS}
    torch.manual_seed(0)
    unet = diffusers.UNet2DConditionModel.from_config(config).eval()
    parts = {**whole.components, "unet": unet, "vae": vae or tiny_autoencoder(scaling_factor=0.8)}
    return diffusers.StableDiffusionPipeline(**parts, requires_safety_checker=False)
