"""What the encoder says equals what the base's own pipeline computes."""

import numpy as np
import pytest
import torch
from encoding_parts import autoencoder, sd_pipeline, xl_pipeline

from armature.bases.open import open_base
from armature.data.encoding.encoder import Encoder

CAPTIONS = ["a red house", "two trees", ""]
PIXELS = np.random.default_rng(0).integers(0, 256, (2, 64, 96, 3), np.uint8)


def in_range(pixels):
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 127.5 - 1


def test_sd_text_states_equal_the_pipelines():
    pipeline = sd_pipeline()
    with torch.no_grad():
        wanted, negative = pipeline.encode_prompt(CAPTIONS, "cpu", 1, True)
    encoder = Encoder(open_base(pipeline))
    states = encoder.texts(CAPTIONS)
    assert torch.equal(states.states, wanted)
    assert states.pooled is None
    assert (encoder.empty().states - negative[:1]).abs().max() < 1e-6


@pytest.mark.parametrize("zeros", [True, False])
def test_sdxl_text_states_equal_the_pipelines(zeros):
    pipeline = xl_pipeline(force_zeros_for_empty_prompt=zeros)
    with torch.no_grad():
        wanted, negative, pooled, negative_pooled = pipeline.encode_prompt(CAPTIONS)
    encoder = Encoder(open_base(pipeline))
    states, empty = encoder.texts(CAPTIONS), encoder.empty()
    assert torch.equal(states.states, wanted)
    assert torch.equal(states.pooled, pooled)
    assert (empty.states - negative[:1]).abs().max() < 1e-6
    assert (empty.pooled - negative_pooled[:1]).abs().max() < 1e-6
    assert bool((empty.states == 0).all()) is zeros


def test_the_picture_states_are_the_scaled_posterior():
    pipeline = sd_pipeline()
    mean, std = Encoder(open_base(pipeline)).pictures(PIXELS)
    with torch.no_grad():
        posterior = pipeline.vae.encode(in_range(PIXELS)).latent_dist
    scale = pipeline.vae.config.scaling_factor
    assert scale != 1
    assert torch.allclose(mean, posterior.mean * scale, atol=1e-6)
    assert torch.allclose(std, posterior.std * scale, atol=1e-6)
    assert mean.shape == (2, 4, 8, 12)


def test_shift_mean_and_deviation_of_the_autoencoder_are_taken_off():
    vae = autoencoder(
        shift_factor=0.25, scaling_factor=0.5, latents_mean=[0.1, 0.2, 0.3, 0.4], latents_std=[1.0, 2.0, 4.0, 8.0]
    )
    mean, std = Encoder(open_base(sd_pipeline(vae))).pictures(PIXELS)
    with torch.no_grad():
        posterior = vae.encode(in_range(PIXELS)).latent_dist
    shift = torch.tensor([0.1, 0.2, 0.3, 0.4]).view(1, 4, 1, 1)
    deviation = torch.tensor([1.0, 2.0, 4.0, 8.0]).view(1, 4, 1, 1)
    assert torch.allclose(mean, (posterior.mean - shift) * 0.5 / deviation, atol=1e-6)
    assert torch.allclose(std, posterior.std * 0.5 / deviation, atol=1e-6)


def test_without_them_the_shift_alone_is_taken_off():
    vae = autoencoder(shift_factor=0.25, scaling_factor=0.5)
    mean, _ = Encoder(open_base(sd_pipeline(vae))).pictures(PIXELS)
    with torch.no_grad():
        assert torch.allclose(mean, (vae.encode(in_range(PIXELS)).latent_dist.mean - 0.25) * 0.5, atol=1e-6)


def test_a_half_precision_autoencoder_that_overflows_works_in_float32_and_stays_as_it_was():
    pipeline = sd_pipeline().to(dtype=torch.float16)
    reference = autoencoder().half().float()
    mean, _ = Encoder(open_base(pipeline)).pictures(PIXELS)
    with torch.no_grad():
        wanted = reference.encode(in_range(PIXELS)).latent_dist.mean * reference.config.scaling_factor
    assert torch.allclose(mean, wanted, atol=1e-6)
    assert pipeline.vae.dtype == torch.float16
    assert pipeline.vae.decoder is not None


def test_groups_of_pictures_change_nothing(monkeypatch):
    encoder = Encoder(open_base(sd_pipeline()))
    together = encoder.pictures(PIXELS)
    monkeypatch.setattr("armature.data.encoding.encoder._PIXELS_AT_ONCE", 1)
    assert encoder.at_once(64, 64) == 1
    for one, other in zip(together, encoder.pictures(PIXELS), strict=True):
        assert torch.allclose(one, other, atol=1e-6)


def test_long_captions_are_told_once_and_counted():
    notes = []
    encoder = Encoder(open_base(xl_pipeline()), notes.append)
    long = ["abcdefghijklmnopqrstuvwxyz", "zyxwvutsrqponmlkjihgfedcba"]
    encoder.texts([long[0], "short"])
    encoder.texts(long)
    assert encoder.truncated == 2
    assert len(notes) == 1
    assert "'abcdefghijklmnopqrstuvwxyz' has 28 tokens and the text encoder reads 16" in notes[0]


def test_the_identity_is_that_of_the_content():
    encoder = Encoder(open_base(sd_pipeline()))
    assert Encoder(open_base(sd_pipeline())).identity() == encoder.identity()
    changed = sd_pipeline()
    with torch.no_grad():
        list(changed.text_encoder.parameters())[-1][3] += 1e-3
    others = {
        "another autoencoder": sd_pipeline(autoencoder(seed=1)),
        "another scale": sd_pipeline(autoencoder(scaling_factor=0.2)),
        "another text encoder": changed,
        "another precision": sd_pipeline().to(dtype=torch.bfloat16),
    }
    identities = {name: Encoder(open_base(pipeline)).identity() for name, pipeline in others.items()}
    assert len({encoder.identity(), *identities.values()}) == 5


def test_another_decoder_makes_no_other_identity():
    decoder = sd_pipeline()
    with torch.no_grad():
        decoder.vae.decoder.conv_out.bias += 1
    assert Encoder(open_base(decoder)).identity() == Encoder(open_base(sd_pipeline())).identity()
