"""The ten inference defects of diffusers' adapter pipelines, one test each: what fails there works or raises here."""

import inspect

import numpy as np
import pytest
import torch
from small_parts import PROMPTS, drawing, half_mask, picture, sd_adapter, xl_adapter
from small_pipelines import CASES, SAMPLERS

import armature
from armature import AttachError, Control
from armature.adapters.base import AdapterCard
from armature.adapters.networks.full import FullSpec
from armature.adapters.registry import build_adapter
from armature.conditions.kinds import contract_for


@pytest.mark.parametrize("name", ["SD", "SDXL"])
def test_defect_1_several_adapters_with_the_default_weight(name):
    case = CASES[name]
    pipeline = case.build()
    first, second = Control(case.adapter(0), drawing(0)), Control(case.adapter(1), drawing(1))
    with armature.attach(pipeline, [first, second]) as attachment:
        both = case.run(pipeline)
        attachment.update(first)
        assert not torch.equal(case.run(pipeline), both)


@pytest.mark.parametrize("sampler", ["Heun", "KDPM2", "KDPM2 a", "PNDM"])
def test_defect_2_order_2_samplers_apply_the_adapter_on_every_unet_call(sampler):
    case, seen = CASES["SD"], []
    name, options = SAMPLERS[sampler]
    pipeline = case.build(name, **options)
    with armature.attach(pipeline, Control(case.adapter(), drawing())) as attachment:
        site = pipeline.unet.down_blocks[0].attentions[-1]
        inner = site.transformer_blocks[0].register_forward_hook(lambda *args: seen.append(attachment._state.read(0)))
        case.run(pipeline, num_inference_steps=5)
        report = attachment.report()
        inner.remove()
    assert len(seen) == report.calls > 5
    assert all(addition is not None for addition in seen)
    assert report.controls[0].active == (0, 1, 2, 3, 4)
    assert report.controls[0].calls == report.calls


def test_defect_3_two_prompts_two_controls_two_pictures_each():
    case = CASES["SD"]
    pipeline, drawings = case.build(), [drawing(0), drawing(3)]
    noise = torch.randn(4, 4, 8, 8, generator=torch.Generator().manual_seed(5))
    shared = {"latents": noise, "num_images_per_prompt": 2}
    with armature.attach(pipeline, Control(sd_adapter(), drawings)):
        together = case.run(pipeline, prompt=PROMPTS, **shared)
    for index, (prompt, one) in enumerate(zip(PROMPTS, drawings, strict=True)):
        pair = slice(2 * index, 2 * index + 2)
        with armature.attach(pipeline, Control(sd_adapter(), one)):
            alone = case.run(pipeline, prompt=prompt, num_images_per_prompt=2, latents=noise[pair])
        # Another batch size sums in another order inside the convolutions.
        torch.testing.assert_close(together[pair], alone, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", ["SD", "SDXL"])
def test_defect_4_one_control_for_several_prompts_and_a_wrong_number_raises(name):
    case = CASES[name]
    pipeline = case.build()
    with armature.attach(pipeline, Control(case.adapter(), drawing())) as attachment:
        assert case.run(pipeline, prompt=PROMPTS).shape[0] == 2
        attachment.update(Control(case.adapter(), [drawing(seed) for seed in range(3)]))
        with pytest.raises(AttachError, match="sketch control has 3 pictures and the call runs 2 images"):
            case.run(pipeline, prompt=PROMPTS)


def test_defect_5_the_fourth_feature_of_sdxl_is_never_dropped():
    case = CASES["SDXL"]
    pipeline = case.build()
    plain = case.run(pipeline, prompt=PROMPTS)
    # Batch 1 against four rows: exactly where diffusers drops it.
    with armature.attach(pipeline, Control(xl_adapter(), drawing(), levels=(0, 0, 0, 1))):
        assert not torch.equal(case.run(pipeline, prompt=PROMPTS), plain)


def test_defect_5_a_fourth_feature_of_another_size_raises(monkeypatch):
    case = CASES["SDXL"]
    pipeline, adapter = case.build(), xl_adapter()
    original = adapter.features

    def too_large(x):
        features = original(x)
        last = torch.nn.functional.interpolate(features.maps[3], scale_factor=2)
        return armature.Features((*features.maps[:3], last))

    monkeypatch.setattr(adapter, "features", too_large)
    message = "Feature 3 of the sketch adapter is 4 x 4 and mid_block is 2 x 2 for this latent"
    with armature.attach(pipeline, Control(adapter, drawing())), pytest.raises(AttachError, match=message):
        case.run(pipeline)


@pytest.mark.parametrize("name", ["SD", "SDXL"])
@pytest.mark.parametrize("size", [(72, 136), (136, 72)])
def test_defect_6_any_size_that_the_pipeline_takes(name, size):
    case = CASES[name]
    pipeline = case.build()
    with armature.attach(pipeline, Control(case.adapter(), drawing())):
        latents = case.run(pipeline, height=size[0], width=size[1], num_inference_steps=1)
    assert latents.shape[-2:] == (size[0] // 8, size[1] // 8)


def rgb_adapter():
    card = AdapterCard(kind="depth", family="sd", contract=contract_for("depth", in_channels=3))
    torch.manual_seed(0)
    return build_adapter(FullSpec(3, (16, 16, 32), blocks=1), card).eval()


@pytest.mark.parametrize(
    "image",
    [
        picture().convert("L"),
        picture().convert("RGBA"),
        np.asarray(picture()),
        torch.rand(3, 100, 90, generator=torch.Generator().manual_seed(0)),
    ],
    ids=["L", "RGBA", "numpy", "tensor of another size"],
)
def test_defect_6_any_picture(image):
    case = CASES["SD"]
    pipeline = case.build()
    with armature.attach(pipeline, Control(rgb_adapter(), image)):
        assert case.run(pipeline, num_inference_steps=1).isfinite().all()


@pytest.mark.parametrize("name", ["SD", "SDXL"])
def test_defect_7_a_float32_adapter_with_a_bfloat16_unet(name):
    case = CASES[name]
    pipeline = case.build().to(torch.bfloat16)
    plain = case.run(pipeline)
    with armature.attach(pipeline, Control(case.adapter(), drawing(), weight=3.0)) as attachment:
        controlled = case.run(pipeline)
        assert attachment.report().controls[0].dtype == "float32"
        assert attachment.report().dtype == "bfloat16"
    assert controlled.dtype == torch.bfloat16
    assert controlled.isfinite().all()
    assert not torch.equal(controlled, plain)


def test_defect_8_features_survive_every_step_without_a_clone(monkeypatch):
    case = CASES["SD"]
    pipeline, cloned = case.build(), []
    with armature.attach(pipeline, Control(case.adapter(), drawing())) as attachment:
        case.run(pipeline, num_inference_steps=1)
        maps = attachment._facts.results[0].features.maps
        before = [feature.clone() for feature in maps]
        original = torch.Tensor.clone
        monkeypatch.setattr(
            torch.Tensor, "clone", lambda self, *args, **options: cloned.append(self.shape) or original(self)
        )
        case.run(pipeline, num_inference_steps=4)
        monkeypatch.undo()
    assert not set(cloned) & {feature.shape for feature in maps}
    assert all(torch.equal(old, new) for old, new in zip(before, maps, strict=True))


@pytest.mark.parametrize("name", ["SD img2img", "SD inpaint", "SD ControlNet", "AnimateDiff"])
def test_defect_9_every_pipeline_takes_every_option(name):
    case = CASES[name]
    pipeline = case.build()
    plain = case.run(pipeline)
    control = Control(
        case.adapter(),
        drawing(),
        weight=3.0,
        levels=(1, 0.5, 1),
        start=0.3,
        mask=half_mask(),
        guidance_half="conditional",
    )
    with armature.attach(pipeline, control) as attachment:
        assert not torch.equal(case.run(pipeline), plain)
        assert 0 not in attachment.report().controls[0].active


def test_defect_10_sdxl_openpose_gets_blue_first():
    case, seen = CASES["SDXL"], []
    adapter = xl_adapter(channels=3)
    contract = contract_for("openpose", in_channels=3, family="sdxl")
    adapter.card = AdapterCard(kind="openpose", family="sdxl", contract=contract)
    adapter.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    pipeline = case.build()
    with armature.attach(pipeline, Control(adapter, picture())) as attachment:
        case.run(pipeline, num_inference_steps=1)
        notes = attachment.report().controls[0].notes
    expected = torch.from_numpy(np.asarray(picture()).copy()).permute(2, 0, 1).flip(0) / 255
    torch.testing.assert_close(seen[0][0], expected)
    assert any("blue, green, red" in note for note in notes)


def test_no_pipeline_class_is_copied_or_subclassed():
    for name in ("attach", "call", "hooks", "sites", "steps"):
        source = inspect.getsource(getattr(armature.injection, name))
        assert "import diffusers" not in source
        assert "from diffusers" not in source
