"""A base whose autoencoder has no posterior, and more than four latent channels, works wherever another does."""

import numpy as np
import pytest
import small_bases as small
import torch
from PIL import Image
from safetensors.torch import save_file
from tiny_base import CHANNELS, tiny_autoencoder, tiny_pipeline

import armature
from armature.bases.latents import decode, encode, through_autoencoder
from armature.bases.open import open_base
from armature.data.encoding.encoder import Encoder
from armature.errors import CheckpointError
from armature.evaluation.sampler import PictureSampler
from armature.generation.generate import generate

PIXELS = np.random.default_rng(0).integers(0, 256, (2, 64, 96, 3), np.uint8)


@pytest.fixture(scope="module")
def base():
    return open_base(tiny_pipeline())


def draw(base, **options):
    return generate("a red house", base=base, num_inference_steps=3, seed=4, **options)


def pixels(made):
    return np.asarray(made.images[0])


def test_it_opens_with_its_own_channels_stride_and_size(base):
    assert (base.latent_channels, base.stride, base.size, base.inpaints) == (CHANNELS, 8, (64, 64), False)


def test_there_is_nothing_to_sample_in_its_latents(base):
    mean, std = Encoder(base).pictures(PIXELS)
    with torch.no_grad():
        x = torch.from_numpy(PIXELS).permute(0, 3, 1, 2).float() / 127.5 - 1
        wanted = base.pipeline.vae.encode(x).latents * 0.8
    assert torch.allclose(mean, wanted, atol=1e-6)
    assert not std.any()


def test_evaluations_ceiling_and_sampler_decode_what_was_encoded(base):
    vae = base.pipeline.vae
    mean, _ = encode(vae, PIXELS)
    off = np.abs(decode(vae, mean)[0].astype(int) - through_autoencoder(vae, PIXELS[0])).max()
    assert off <= 1
    assert PictureSampler(base, steps=1).decode(mean)[1].shape == (64, 96, 3)


def test_it_draws_and_follows_a_control(base, pictures):
    plain = draw(base)
    control = armature.Control(small.sd_adapter(), pictures["lines"])
    assert plain.images[0].size == (64, 64)
    assert not np.array_equal(pixels(plain), pixels(draw(base, controls=control)))


def test_image_to_image_starts_from_the_picture(base, pictures):
    made = draw(base, image=pictures["photo"], strength=0.4)
    assert made.settings.mode == "image"
    assert not np.array_equal(pixels(made), pixels(draw(base, image=Image.new("RGB", (64, 64)), strength=0.4)))


def test_inpainting_keeps_the_picture_outside_the_mask_and_paints_inside(base, pictures):
    made = draw(base, image=pictures["photo"], mask_image=pictures["mask"], strength=1.0)
    before = np.asarray(Image.open(pictures["photo"]).convert("RGB"))
    assert made.settings.mode == "inpaint"
    assert np.array_equal(pixels(made)[:, 32:], before[:, 32:])
    assert not np.array_equal(pixels(made)[:, :32], before[:, :32])
    # What is painted knows of what is kept: another picture around it leads to another one inside.
    other = Image.open(pictures["photo"]).convert("RGB")
    other.paste((10, 200, 240), (32, 0, 64, 64))
    again = draw(base, image=other, mask_image=pictures["mask"], strength=1.0)
    assert not np.array_equal(pixels(made)[:, :32], pixels(again)[:, :32])


def test_it_is_replaced_by_another_of_its_kind_from_folder_and_file(base, tmp_path):
    other = tiny_autoencoder(seed=5, scaling_factor=0.8)
    other.save_pretrained(tmp_path / "vae")
    save_file({name: tensor.contiguous() for name, tensor in other.state_dict().items()}, tmp_path / "vae.safetensors")
    by_folder, by_file = (draw(base, vae=tmp_path / name) for name in ("vae", "vae.safetensors"))
    assert np.array_equal(pixels(by_folder), pixels(by_file))
    assert not np.array_equal(pixels(by_folder), pixels(draw(base)))


def test_an_autoencoder_of_other_latents_is_refused(base, tmp_path):
    small.autoencoder().save_pretrained(tmp_path / "vae")
    with pytest.raises(CheckpointError, match=r"has latent_channels 4; this base takes latents made with 8"):
        open_base(base, vae=tmp_path / "vae")


def test_a_tiny_one_stands_in_for_a_full_one(tmp_path):
    import diffusers

    widths = {"encoder_block_out_channels": (8,) * 4, "decoder_block_out_channels": (8,) * 4}
    diffusers.AutoencoderTiny(**widths, latent_channels=4).save_pretrained(tmp_path / "taesd")
    assert open_base(small.sd_pipeline(), vae=tmp_path / "taesd").vae == "taesd"


def test_its_folder_opens_again(base, tmp_path):
    base.pipeline.save_pretrained(tmp_path / "base")
    assert np.array_equal(pixels(draw(tmp_path / "base")), pixels(draw(base)))
