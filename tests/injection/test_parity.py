"""The same pictures as diffusers' own adapter pipelines, to the last bits, from untouched pipelines."""

import diffusers
import numpy as np
import pytest
import torch
from small_parts import PROMPTS, SIZE, drawing, scheduler, sd_adapter, sd_parts, xl_adapter, xl_parts

import armature
from armature import Control
from armature.adapters.save import save_adapter

# The sums are made in another order: a weight per control, once, instead of per call.
TOLERANCE = 1e-5
FAMILIES = {
    "sd": (sd_parts, sd_adapter, diffusers.StableDiffusionPipeline, diffusers.StableDiffusionAdapterPipeline),
    "sdxl": (xl_parts, xl_adapter, diffusers.StableDiffusionXLPipeline, diffusers.StableDiffusionXLAdapterPipeline),
}


def theirs(adapter, folder):
    """The adapter as diffusers loads it from the folder that we save."""
    return diffusers.T2IAdapter.from_pretrained(save_adapter(adapter, folder)).eval()


def binary(seed):
    """A drawing of pure black and white, which both sides read alike."""
    return drawing(seed).point(lambda value: 255 if value > 127 else 0)


def tensor(seed):
    """The same as diffusers takes it without laying its memory out by channel, which rounds differently."""
    return torch.from_numpy(np.asarray(binary(seed)).astype(np.float32) / 255)[None, None]


def build(kind, parts):
    options = {"requires_safety_checker": False} if "safety_checker" in parts else {}
    pipeline = kind(**parts, **options)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def picture(pipeline, **options):
    options = {"prompt": PROMPTS[0], "num_inference_steps": 3, "guidance_scale": 4.0, **options}
    noise = torch.Generator().manual_seed(11)
    options = {"output_type": "latent", **options}
    return pipeline(height=SIZE, width=SIZE, generator=noise, **options).images


@pytest.mark.parametrize("sampler", ["DDIMScheduler", "EulerDiscreteScheduler", "UniPCMultistepScheduler"])
@pytest.mark.parametrize("family", FAMILIES)
def test_one_adapter(family, sampler, tmp_path):
    make_parts, make_adapter, ours_kind, theirs_kind = FAMILIES[family]
    parts, adapter = make_parts(scheduler=scheduler(sampler)), make_adapter()
    reference = build(theirs_kind, {**parts, "adapter": theirs(adapter, tmp_path / "a")})
    expected = picture(reference, image=tensor(0), adapter_conditioning_scale=0.8)
    ours = build(ours_kind, parts)
    plain = picture(ours)
    with armature.attach(ours, Control(adapter, binary(0), weight=0.8)):
        found = picture(ours)
    assert (found - expected).abs().max() <= TOLERANCE
    assert (plain - expected).abs().max() > 1000 * TOLERANCE


@pytest.mark.parametrize("family", FAMILIES)
def test_several_adapters(family, tmp_path):
    make_parts, make_adapter, ours_kind, theirs_kind = FAMILIES[family]
    parts, adapters, weights = make_parts(), [make_adapter(0), make_adapter(1)], [0.7, 1.2]
    # A list of adapters raises in the SDXL pipeline; a MultiAdapter is what it takes.
    multiple = diffusers.MultiAdapter([theirs(adapter, tmp_path / str(i)) for i, adapter in enumerate(adapters)])
    reference = build(theirs_kind, {**parts, "adapter": multiple})
    images = [binary(0), binary(1)]
    expected = picture(reference, image=[tensor(0), tensor(1)], adapter_conditioning_scale=weights)
    ours = build(ours_kind, parts)
    controls = [Control(*pair, weight=weight) for *pair, weight in zip(adapters, images, weights, strict=True)]
    with armature.attach(ours, controls):
        assert (picture(ours) - expected).abs().max() <= TOLERANCE


@pytest.mark.parametrize("options", [{"guidance_scale": 1.0}, {"num_images_per_prompt": 2}])
@pytest.mark.parametrize("family", FAMILIES)
def test_without_guidance_and_with_several_pictures(family, options, tmp_path):
    make_parts, make_adapter, ours_kind, theirs_kind = FAMILIES[family]
    parts, adapter = make_parts(), make_adapter()
    reference = build(theirs_kind, {**parts, "adapter": theirs(adapter, tmp_path / "a")})
    expected = picture(reference, image=tensor(0), **options)
    ours = build(ours_kind, parts)
    with armature.attach(ours, Control(adapter, binary(0))):
        assert (picture(ours, **options) - expected).abs().max() <= TOLERANCE


def test_the_factor_of_sdxl_is_our_end(tmp_path):
    parts, adapter = xl_parts(), xl_adapter()
    reference = build(diffusers.StableDiffusionXLAdapterPipeline, {**parts, "adapter": theirs(adapter, tmp_path / "a")})
    expected = picture(reference, image=tensor(0), num_inference_steps=4, adapter_conditioning_factor=0.5)
    ours = build(diffusers.StableDiffusionXLPipeline, parts)
    with armature.attach(ours, Control(adapter, binary(0), end=0.5)):
        assert (picture(ours, num_inference_steps=4) - expected).abs().max() <= TOLERANCE


# diffusers' own adapter pipeline decodes by a method that diffusers deprecates.
@pytest.mark.filterwarnings("ignore:The decode_latents method:FutureWarning")
@pytest.mark.parametrize("family", FAMILIES)
def test_a_pil_control_gives_the_same_picture(family, tmp_path):
    make_parts, make_adapter, ours_kind, theirs_kind = FAMILIES[family]
    parts, adapter = make_parts(), make_adapter()
    reference = build(theirs_kind, {**parts, "adapter": theirs(adapter, tmp_path / "a")})
    expected = picture(reference, image=binary(0), output_type="np")
    ours = build(ours_kind, parts)
    with armature.attach(ours, Control(adapter, binary(0))):
        assert np.abs(picture(ours, output_type="np") - expected).max() <= TOLERANCE
