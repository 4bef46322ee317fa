"""What a U-Net call belongs to is asked of the pipeline that makes it, not of the one attached to."""

import pytest
import torch
from diffusers import StableDiffusionImg2ImgPipeline, StableDiffusionPanoramaPipeline, StableDiffusionPipeline
from small_models import sd_unet
from small_parts import PROMPTS, SD_WIDTHS, SIZE, CountingAdapter, drawing, half_mask, picture, sd_parts
from small_pipelines import CASES, control

import armature
from armature import AttachError, Control
from armature.injection.bound import run

SD = CASES["SD"]


def seen_by(pipeline, level=0):
    """A list that fills with what the site of a level puts out, and the hook's handle."""
    outputs = []
    site = armature.find_sites(pipeline.unet).sites[level].module
    handle = site.register_forward_hook(
        lambda module, args, output: outputs.append(output[0] if isinstance(output, tuple) else output)
    )
    return outputs, handle


def changes(pipeline, controls, call, level=0, before=()):
    """What the controls added at a site in every U-Net call of a one-step run: with them minus without."""
    runs = []
    for given in (before, controls):
        with armature.attach(pipeline, given):
            outputs, handle = seen_by(pipeline, level)
            call()
            handle.remove()
        runs.append(outputs)
    return [after - plain for plain, after in zip(*runs, strict=True)]


def test_guidance_and_steps_are_those_of_the_pipeline_that_calls():
    first = SD.build()
    other = StableDiffusionImg2ImgPipeline.from_pipe(first)
    other.set_progress_bar_config(disable=True)
    assert other.unet is first.unet
    options = {"image": picture(), "strength": 0.5, "num_inference_steps": 4}
    with armature.attach(other, control(guidance_half="conditional", start=0.5)):
        expected = SD.run(other, height=None, width=None, **options)
    SD.run(first, guidance_scale=1.0, num_inference_steps=2)
    with armature.attach(first, control(guidance_half="conditional", start=0.5)) as attachment:
        assert torch.equal(SD.run(other, height=None, width=None, **options), expected)
        assert attachment.report().steps == 2
        assert attachment.report().batch == "1 images, 2 guidance copies"


def test_another_unet_in_the_pipeline_is_told_at_its_next_call():
    pipeline = SD.build()
    own = pipeline.unet
    with armature.attach(pipeline, control()):
        pipeline.unet = sd_unet(SD_WIDTHS)
        with pytest.raises(AttachError, match=r"The U-Net of this StableDiffusionPipeline is another one than the"):
            SD.run(pipeline)
        pipeline.unet = own
        SD.run(pipeline)
    pipeline.unet = sd_unet(SD_WIDTHS)
    SD.run(pipeline)
    assert not pipeline.text_encoder._forward_pre_hooks


def panorama(**options):
    pipeline = StableDiffusionPanoramaPipeline(**sd_parts(), requires_safety_checker=False)
    pipeline.set_progress_bar_config(disable=True)
    call = {
        "prompt": PROMPTS[0],
        "height": 512,
        "width": 576,
        "num_inference_steps": 1,
        "output_type": "latent",
        **options,
    }
    return pipeline, lambda: pipeline(generator=torch.Generator().manual_seed(1), **call).images


@pytest.mark.parametrize(
    "options",
    [
        {"guidance_scale": 4.0},
        {"guidance_scale": 4.0, "view_batch_size": 2},
        {"guidance_scale": 1.0, "circular_padding": True, "width": 512},
    ],
)
def test_every_view_of_a_panorama_gets_its_own_part_of_the_features(options):
    pipeline, call = panorama(**options)
    adapter = SD.adapter()
    counting = CountingAdapter(adapter)
    width = options.get("width", 576)
    wide = drawing().resize((width, 512))
    given = Control(adapter, wide, weight=2.0, guidance_half="conditional" if options["guidance_scale"] > 1 else None)
    added = changes(pipeline, given, call)
    assert counting.count == 1
    prepared = adapter.prepare([adapter.read(wide)[0]], (512, width))
    whole = 2.0 * run(adapter, prepared.value, torch.device("cpu")).maps[0]
    around = options.get("circular_padding", False)
    views = pipeline.get_views(512, width, circular_padding=around)
    rows = [row for call_rows in added for row in call_rows]
    copies = 2 if options["guidance_scale"] > 1 else 1
    assert len(rows) == len(views) * copies
    for index, (_, _, left, right) in enumerate(views):
        columns = [column % (width // 8) for column in range(left, right)]
        expected = whole[0][..., columns]
        torch.testing.assert_close(rows[index * copies + copies - 1], expected, atol=1e-4, rtol=0)
        if copies == 2:
            assert rows[index * copies].abs().max() == 0


def test_a_panorama_keeps_steps_masks_and_silence():
    pipeline, call = panorama(num_inference_steps=2, guidance_scale=4.0)
    plain = call()
    with armature.attach(pipeline, control(mask=half_mask(), start=0.5)) as attachment:
        masked = call()
        report = attachment.report()
        assert (report.steps, report.controls[0].active, report.computed) == (2, (1,), 1)
        assert not torch.equal(masked, plain)
        attachment.update(weight=0)
        assert torch.equal(call(), plain)
    assert torch.equal(call(), plain)


def test_windows_that_cannot_be_told_are_refused_by_name():
    class WindowedPipeline(StableDiffusionPipeline):
        def get_views(self):
            return []

    pipeline = WindowedPipeline(**sd_parts(), requires_safety_checker=False)
    with pytest.raises(AttachError, match=r"WindowedPipeline runs its U-Net on windows .* Tiled pipelines"):
        armature.attach(pipeline, control())
    assert not pipeline.unet._forward_hooks


@pytest.mark.parametrize("name", ["SD inpaint", "SDXL inpaint", "SD ControlNet inpaint", "SDXL ControlNet inpaint"])
def test_inpainting_only_around_the_mask_cuts_the_control_like_the_picture(name):
    """A control cut by hand, on the whole picture, must give the same features as the whole control in the crop."""
    case = CASES[name]
    pipeline = case.build()
    small = half_mask().crop((0, 0, 24, 24)).resize((SIZE, SIZE)).point(lambda value: 0)
    small.paste(255, (8, 8, 24, 24))
    options = {"mask_image": small, "padding_mask_crop": 8, "num_inference_steps": 1, "strength": 1.0}
    box = pipeline.mask_processor.get_crop_region(small, SIZE, SIZE, pad=8)
    assert box == (0, 0, 32, 32)
    whole = drawing()
    cut = whole.crop(box).resize((SIZE, SIZE), 0)

    def call():
        return case.run(pipeline, output_type="pil", **options)

    adapter = case.adapter()
    [added, *_] = changes(pipeline, Control(adapter, whole, weight=2.0), call)
    latent = (SIZE // 8, SIZE // 8)
    sites = armature.find_sites(pipeline.unet)
    prepared = adapter.prepare([adapter.read(cut)[0]], (SIZE, SIZE))
    expected = 2.0 * run(adapter, prepared.value, torch.device("cpu")).maps[0]
    assert expected.shape[-2:] == sites.sites[0].size(latent)
    torch.testing.assert_close(added, expected.expand_as(added), atol=1e-4, rtol=0)
    mask = half_mask()
    [masked, *_] = changes(pipeline, Control(adapter, whole, weight=2.0, mask=mask), call)
    # The left half of the picture is white in the mask, and the box lies in it.
    torch.testing.assert_close(masked, added, atol=1e-4, rtol=0)


def test_the_report_says_that_a_control_was_cut():
    case = CASES["SD inpaint"]
    pipeline = case.build()
    with armature.attach(pipeline, control(case)) as attachment:
        case.run(pipeline, output_type="pil", padding_mask_crop=0)
        [note] = [note for note in attachment.report().controls[0].notes if "Cut like the picture" in note]
        assert note == f"Cut like the picture: {SIZE} x {SIZE} px at (0, 0) of {SIZE} x {SIZE}."


def test_split_inference_before_attaching_changes_nothing():
    """diffusers' FreeNoise wraps layers so that they run in pieces."""
    case = CASES["AnimateDiff"]
    pipeline = case.build()
    plain = case.run(pipeline)
    with armature.attach(pipeline, control(case)):
        expected = case.run(pipeline)
    pipeline.enable_free_noise_split_inference(spatial_split_size=16, temporal_split_size=1)
    with armature.attach(pipeline, control(case)):
        controlled = case.run(pipeline)
    torch.testing.assert_close(controlled, expected, atol=1e-3, rtol=0)
    torch.testing.assert_close(case.run(pipeline), plain, atol=1e-3, rtol=0)
