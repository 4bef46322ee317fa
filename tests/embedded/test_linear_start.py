"""The first weights of the embedded autoencoder, from a recipe that lies outside the package."""

import numpy as np
import pytest
import torch
from diffusers import AutoencoderTiny

from armature.toyworld import scene


@pytest.fixture
def start_linear(recipe_part):
    return recipe_part("linear_start").start_linear


def pictures(first, count):
    drawn = np.stack([scene(seed).picture for seed in range(first, first + count)])
    return torch.from_numpy(drawn).permute(0, 3, 1, 2) / 127.5 - 1


@torch.no_grad()
@pytest.mark.parametrize("last_blocks", [0, 1])
def test_an_untrained_autoencoder_codes_unseen_pictures(start_linear, last_blocks):
    torch.manual_seed(0)
    vae = AutoencoderTiny(
        encoder_block_out_channels=(24,) * 4,
        decoder_block_out_channels=(24,) * 4,
        num_encoder_blocks=(1, 2, 1, 2),
        num_decoder_blocks=(2, 1, 1, last_blocks),
        latent_channels=8,
    )
    unseen = pictures(100, 4)

    def error():
        return float((vae.decode(vae.encode(unseen).latents).sample - unseen).abs().mean()) * 127.5

    assert error() > 50
    seen = pictures(0, 12)
    start_linear(vae, seen)
    assert error() < 25
    latents = vae.encode(seen).latents
    torch.testing.assert_close(latents.mean((0, 2, 3)), torch.zeros(8), atol=0.05, rtol=0)
    torch.testing.assert_close(latents.std((0, 2, 3)), torch.ones(8), atol=0.05, rtol=0)
    # Each latent tells something of its own.
    flat = latents.transpose(0, 1).flatten(1)
    assert (torch.corrcoef(flat) - torch.eye(8)).abs().max() < 0.1
