"""Painting from text states equals generating with an attached adapter, and leaves the base as it was."""

import numpy as np
import pytest
import torch
from PIL import Image
from small_bases import sd_adapter, sd_pipeline, xl_adapter, xl_pipeline

import armature
from armature.bases.latents import decode, through_autoencoder, wide_autoencoder
from armature.bases.open import open_base
from armature.bases.text import TextEncoders
from armature.errors import RecipeError
from armature.evaluation.sampler import PictureSampler
from armature.toyworld import scene

PROMPTS = ["a red house", "two trees"]
PARTS = {"sd": (sd_pipeline, sd_adapter), "sdxl": (xl_pipeline, xl_adapter)}


def lines(seed):
    return scene(seed).sketch[32:96, 32:96]


@pytest.fixture(params=["sd", "sdxl"])
def parts(request):
    pipeline, adapter = PARTS[request.param]
    return open_base(pipeline()), adapter()


def painted(base, features, guidance, **options):
    texts = TextEncoders(base.pipeline, base.family)
    sampler = PictureSampler(base, steps=2, guidance=guidance)
    return np.stack(sampler.sample(texts.texts(PROMPTS), texts.empty(), features, (64, 64), [5, 6], **options))


@pytest.mark.parametrize("guidance", [5.0, 1.0])
def test_painting_equals_the_base_with_the_adapter_attached(parts, guidance):
    base, adapter = parts
    base.pipeline.set_progress_bar_config(disable=True)
    maps = [lines(1), lines(2)]
    control = torch.from_numpy(np.stack(maps))[:, None].float() / 255
    arguments = {"num_inference_steps": 2, "guidance_scale": guidance, "height": 64, "width": 64, "output_type": "np"}
    with armature.attach(base.pipeline, armature.Control(adapter, [Image.fromarray(m) for m in maps])):
        generators = [torch.Generator().manual_seed(seed) for seed in (5, 6)]
        expected = base.pipeline(PROMPTS, generator=generators, **arguments).images
    with torch.no_grad():
        found = painted(base, adapter(control), guidance)
    assert found.shape == (2, 64, 64, 3)
    # The pictures are rounded to 8 bits, and decoded one after the other here.
    assert np.abs(found / 255 - expected).max() < 0.51 / 255 + 1e-4
    assert np.abs(found.astype(int) - painted(base, None, guidance)).max() > 0


def test_painting_leaves_hooks_scheduler_and_random_states_alone(parts):
    base, adapter = parts
    unet, scheduler = base.pipeline.unet, base.pipeline.scheduler
    before = torch.get_rng_state()
    with torch.no_grad():
        painted(base, adapter(torch.rand(2, 1, 64, 64, generator=torch.Generator().manual_seed(0))), 5.0)
    assert torch.equal(torch.get_rng_state(), before)
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in unet.modules())
    assert scheduler.num_inference_steps is None


def test_a_base_whose_text_encoders_are_gone_can_still_paint(parts):
    base, _ = parts
    texts = TextEncoders(base.pipeline, base.family)
    states, empty = texts.texts(PROMPTS), texts.empty()
    expected = painted(base, None, 5.0)
    for name in ("text_encoder", "text_encoder_2"):
        if hasattr(base.pipeline, name):
            setattr(base.pipeline, name, None)
    found = np.stack(PictureSampler(base, steps=2, guidance=5.0).sample(states, empty, None, (64, 64), [5, 6]))
    assert np.array_equal(found, expected)


def test_inpainting_bases_are_refused():
    with pytest.raises(RecipeError, match="is an inpainting model and cannot draw from text"):
        PictureSampler(open_base(sd_pipeline(in_channels=9)))


def test_pictures_go_through_the_autoencoder_at_their_size(small_base):
    picture = scene(3).picture
    back = through_autoencoder(small_base.pipeline.vae, picture)
    assert (back.shape, back.dtype) == (picture.shape, np.uint8)


def test_half_precision_is_decoded_in_full_where_it_would_overflow():
    base = open_base(sd_pipeline())
    vae = base.pipeline.vae.half()
    latents = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    found = PictureSampler(base).decode(latents)
    assert vae.dtype == torch.float16
    assert wide_autoencoder(vae).dtype == torch.float32
    expected = decode(vae.float(), latents)
    assert all(np.array_equal(a, b) for a, b in zip(found, expected, strict=True))
    assert wide_autoencoder(vae) is vae


def test_a_base_in_half_precision_takes_features_in_full():
    base = open_base(sd_pipeline().to(torch.bfloat16))
    with torch.no_grad():
        features = sd_adapter()(torch.ones(2, 1, 64, 64))
    assert painted(base, features, 5.0).shape == (2, 64, 64, 3)
