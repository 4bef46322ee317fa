"""Controls go together with what else people load into and switch on in a pipeline."""

import accelerate
import pytest
import torch
from diffusers import LatentConsistencyModelPipeline
from diffusers.models.attention_processor import IPAdapterAttnProcessor2_0
from peft import LoraConfig
from small_models import sd_unet
from small_parts import SD_WIDTHS, drawing, picture, scheduler, sd_adapter, sd_parts
from small_pipelines import CASES, Case, control, reversible

import armature
from armature import AttachError, Control
from armature.injection.bound import run

SD = CASES["SD"]


def add_lora(pipeline):
    torch.manual_seed(4)
    config = LoraConfig(r=2, target_modules=["to_q", "to_v", "conv1"], init_lora_weights=False)
    pipeline.unet.add_adapter(config, "style")
    return pipeline


@pytest.mark.parametrize("name", ["SD", "SDXL", "AnimateDiff"])
def test_lora_loaded(name):
    case = CASES[name]
    pipeline = case.build()
    without = reversible(case, pipeline)
    assert not torch.equal(reversible(case, add_lora(pipeline)), without)


def test_lora_loaded_and_fused_while_attached():
    pipeline = SD.build()
    with armature.attach(pipeline, control()):
        without = SD.run(pipeline)
        add_lora(pipeline)
        loaded = SD.run(pipeline)
        pipeline.fuse_lora()
        fused = SD.run(pipeline)
        pipeline.unload_lora_weights()
    assert not torch.equal(loaded, without)
    # Fused weights round once more.
    torch.testing.assert_close(fused, loaded, atol=1e-3, rtol=1e-3)
    assert not any(module._forward_hooks for module in pipeline.unet.modules())


def ip_adapter_weights(unet, tokens=4, width=16):
    torch.manual_seed(6)
    cross = unet.config.cross_attention_dim
    keys, number = {}, 1
    for name in unet.attn_processors:
        if "attn2" in name:
            block = unet.get_submodule(name.removesuffix(".processor"))
            for part in ("k", "v"):
                keys[f"{number}.to_{part}_ip.weight"] = torch.randn(block.inner_dim, cross) * 0.1
            number += 2
    projection = {
        "proj.weight": torch.randn(tokens * cross, width),
        "proj.bias": torch.zeros(tokens * cross),
        "norm.weight": torch.ones(cross),
        "norm.bias": torch.zeros(cross),
    }
    return {"image_proj": projection, "ip_adapter": keys}


def test_ip_adapter_loaded():
    pipeline = SD.build()
    without = reversible(SD, pipeline)
    pipeline.unet._load_ip_adapter_weights([ip_adapter_weights(pipeline.unet)])
    kinds = {type(processor) for processor in pipeline.unet.attn_processors.values()}
    assert IPAdapterAttnProcessor2_0 in kinds
    embeds = torch.randn(2, 1, 16, generator=torch.Generator().manual_seed(2))
    assert not torch.equal(reversible(SD, pipeline, ip_adapter_image_embeds=[embeds]), without)


def test_textual_inversion_loaded():
    pipeline = SD.build()
    pipeline.load_textual_inversion({"<cat>": torch.randn(1, 32)}, token="<cat>")
    reversible(SD, pipeline, prompt="a <cat> house")


@pytest.mark.parametrize("early", [True, False])
@pytest.mark.parametrize("name", ["SD", "SDXL"])
def test_sequential_offload_switched_on_before_or_after(name, early):
    """As enable_sequential_cpu_offload does it: weights live elsewhere and come for each layer's call."""
    case = CASES[name]
    pipeline = case.build()
    with armature.attach(pipeline, control(case)):
        expected = case.run(pipeline)
    if early:
        accelerate.cpu_offload(pipeline.unet, torch.device("cpu"))
    with armature.attach(pipeline, control(case)):
        if not early:
            accelerate.cpu_offload(pipeline.unet, torch.device("cpu"))
        assert next(pipeline.unet.parameters()).device.type == "meta"
        assert torch.equal(case.run(pipeline), expected)


def test_model_offload():
    pipeline = SD.build()
    with armature.attach(pipeline, control()):
        expected = SD.run(pipeline)
        # As enable_model_cpu_offload does it: the whole U-Net moves in and out around its forward.
        _, hook = accelerate.cpu_offload_with_hook(pipeline.unet, torch.device("cpu"))
        assert torch.equal(SD.run(pipeline), expected)
        hook.offload()
        accelerate.hooks.remove_hook_from_module(pipeline.unet, recurse=True)
        assert torch.equal(SD.run(pipeline), expected)


def test_attention_slicing_and_vae_tiling():
    pipeline = SD.build()
    pipeline.enable_attention_slicing(1)
    pipeline.vae.enable_tiling()
    pipeline.vae.enable_slicing()
    reversible(SD, pipeline, output_type="pt")


def test_freeu():
    pipeline = SD.build()
    pipeline.enable_freeu(s1=0.9, s2=0.2, b1=1.2, b2=1.4)
    reversible(SD, pipeline)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", ["SD", "SDXL", "AnimateDiff"])
def test_half_precision(name, dtype):
    case = CASES[name]
    pipeline = case.build()
    if dtype == torch.float16 and name == "AnimateDiff":
        pytest.skip("diffusers' AnimateDiff mixes float16 with float32 on the CPU")
    pipeline.to(dtype)
    assert reversible(case, pipeline, output_type="latent").isfinite().all()


def test_a_half_precision_adapter_on_a_float32_unet():
    pipeline = SD.build()
    with armature.attach(pipeline, Control(sd_adapter().to(torch.bfloat16), drawing())) as attachment:
        assert SD.run(pipeline).dtype == torch.float32
        assert attachment.report().controls[0].dtype == "bfloat16"


def test_autocast():
    pipeline = SD.build()
    with torch.autocast("cpu", torch.bfloat16):
        reversible(SD, pipeline)


def test_the_pipeline_of_latent_consistency_models():
    case = Case("LatentConsistencyModelPipeline", "sd", {"original_inference_steps": 50})
    parts = sd_parts(unet=sd_unet(SD_WIDTHS, time_cond_proj_dim=8), scheduler=scheduler("LCMScheduler"))
    pipeline = LatentConsistencyModelPipeline(**parts, requires_safety_checker=False)
    pipeline.set_progress_bar_config(disable=True)
    reversible(case, pipeline)
    with armature.attach(pipeline, control(end=0.5)) as attachment:
        case.run(pipeline, num_inference_steps=4)
        assert attachment.report().controls[0].active == (0, 1)


def test_an_adapter_elsewhere_is_brought_along_and_stays():
    """The meta device stands for another one: what runs there has shapes, and the weights here are untouched."""
    adapter = sd_adapter()
    features = run(adapter, torch.zeros(1, 1, 64, 64), torch.device("meta"))
    assert {feature.device.type for feature in features.maps} == {"meta"}
    assert adapter.device.type == "cpu"


def test_animatediff_takes_one_control_for_each_frame():
    case = CASES["AnimateDiff"]
    pipeline = case.build()
    with armature.attach(pipeline, Control(case.adapter(), [drawing(0), drawing(3)], weight=3.0)) as attachment:
        each = case.run(pipeline)
        attachment.update(Control(case.adapter(), [drawing(0)], weight=3.0))
        one = case.run(pipeline)
        assert not torch.equal(each, one)
        attachment.update(Control(case.adapter(), [drawing(seed) for seed in range(3)]))
        with pytest.raises(AttachError, match="3 pictures and the call runs 1 videos of 2 frames"):
            case.run(pipeline)


def test_controlnet_and_adapter_both_act():
    case = CASES["SD ControlNet"]
    pipeline = case.build()
    with armature.attach(pipeline, control(case)):
        both = case.run(pipeline)
        alone = case.run(pipeline, controlnet_conditioning_scale=0.0)
    assert not torch.equal(both, alone)


def test_the_picture_to_start_from_still_counts():
    case = CASES["SD img2img"]
    pipeline = case.build()
    with armature.attach(pipeline, control(case)):
        assert not torch.equal(case.run(pipeline), case.run(pipeline, image=picture(5)))
