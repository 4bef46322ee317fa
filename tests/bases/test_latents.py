"""One scale both ways: what is encoded here is what diffusers' pipelines and ours decode."""

import numpy as np
import pytest
import small_bases as small
import torch
from PIL import Image

from armature.bases.latents import decode, encode, for_pipelines, through_autoencoder, wide_autoencoder
from armature.generation.generate import generate

PIXELS = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), np.uint8)
SCALES = [
    {"shift_factor": 0.3, "scaling_factor": 0.5},
    {"latents_mean": [0.1, 0.2, 0.3, 0.4], "latents_std": [1.0, 2.0, 4.0, 8.0]},
    {},
]


def autoencoder(**options):
    import diffusers

    told = {name: value for name, value in small.autoencoder().config.items() if not name.startswith("_")}
    config = told | options
    torch.manual_seed(0)
    return diffusers.AutoencoderKL.from_config(config).eval()


@pytest.mark.parametrize("options", SCALES)
def test_decoding_undoes_encoding(options):
    vae = autoencoder(**options)
    mean, _ = encode(vae, PIXELS)
    back = decode(vae, mean)
    assert np.abs(back[0].astype(int) - through_autoencoder(vae, PIXELS[0])).max() <= 1


@pytest.mark.parametrize("options", SCALES)
def test_pipelines_see_the_same_latents(options):
    vae = autoencoder(**options)
    seen = for_pipelines(vae)
    assert (seen is vae) is (not options)
    mean, std = encode(vae, PIXELS)
    with torch.no_grad():
        posterior = seen.encode(torch.from_numpy(PIXELS).permute(0, 3, 1, 2).float() / 127.5 - 1).latent_dist
        picture = seen.decode(mean / seen.config.scaling_factor, return_dict=False)[0]
    factor = seen.config.scaling_factor
    assert torch.allclose(posterior.mean * factor, mean, atol=1e-5)
    assert torch.allclose(posterior.std * factor, std, atol=1e-5)
    pixels = ((picture[0].clamp(-1, 1) + 1) * 127.5).round().byte().permute(1, 2, 0).numpy()
    assert np.abs(pixels.astype(int) - decode(vae, mean)[0]).max() <= 1


def test_a_shift_is_honoured_by_generate_too():
    pipeline = small.sd_pipeline()
    pipeline.vae = autoencoder(shift_factor=0.3)
    start = Image.fromarray(PIXELS[0])
    # So few steps of so little strength leave the start nearly as it is: encoded and decoded by one scale.
    made = generate("a", base=pipeline, image=start, strength=0.02, num_inference_steps=50, guidance_scale=1.0, seed=1)
    plain = small.sd_pipeline()
    expected = generate("a", base=plain, image=start, strength=0.02, num_inference_steps=50, guidance_scale=1.0, seed=1)
    off = np.abs(np.asarray(made.images[0]).astype(int) - np.asarray(expected.images[0]).astype(int))
    assert off.mean() < 6


def test_a_configuration_that_says_nothing_of_overflow_is_decided_by_the_caller():
    vae = small.autoencoder().half()
    assert wide_autoencoder(vae).dtype == torch.float32
    del vae._internal_dict
    vae._internal_dict = type(small.autoencoder().config)({"scaling_factor": 1.0})
    assert wide_autoencoder(vae, force_upcast=False) is vae
    assert wide_autoencoder(vae, force_upcast=True).dtype == torch.float32
