"""Features are computed once, at the size of the call, from any form of control, and told in the report."""

import numpy as np
import pytest
import torch
from small_models import sd_unet, unet_inputs
from small_parts import PROMPTS, SD_WIDTHS, CountingAdapter, drawing, half_mask, sd_adapter
from small_pipelines import CASES

import armature
from armature import AttachError, Control

SD = CASES["SD"]


@pytest.fixture(scope="module")
def pipeline():
    return SD.build()


@pytest.fixture
def unet():
    return sd_unet(SD_WIDTHS)


def sketch(**options):
    return Control(sd_adapter(), drawing(), **options)


def call(unet, **options):
    return unet(**unet_inputs(unet, **options)).sample


def test_features_are_computed_once_per_call_of_the_pipeline(pipeline):
    control = sketch()
    counting = CountingAdapter(control.adapter)
    with armature.attach(pipeline, control):
        SD.run(pipeline)
        assert counting.count == 1
        SD.run(pipeline, prompt=PROMPTS, num_images_per_prompt=2)
        assert counting.count == 2


def test_features_are_computed_again_when_size_or_control_change(unet):
    control, other = sketch(), Control(sd_adapter(1), drawing())
    counting, counting_other = CountingAdapter(control.adapter), CountingAdapter(other.adapter)
    with armature.attach(unet, control) as attachment:
        call(unet)
        call(unet, batch=3)
        assert counting.count == 1
        call(unet, latent=(8, 16))
        assert counting.count == 2
        attachment.update(other)
        call(unet)
    assert (counting.count, counting_other.count) == (2, 1)


def test_sums_are_made_once_not_at_every_step(pipeline, monkeypatch):
    made = []
    original = armature.injection.call.mix
    monkeypatch.setattr(armature.injection.call, "mix", lambda *args: made.append(1) or original(*args))
    with armature.attach(pipeline, sketch(end=0.5)):
        SD.run(pipeline, num_inference_steps=6)
    # Two sets of active controls (on, off) at three sites.
    assert len(made) == 6


def test_the_control_follows_the_size_of_the_picture(pipeline):
    with armature.attach(pipeline, sketch()) as attachment:
        for height, width in ((64, 64), (72, 136)):
            SD.run(pipeline, height=height, width=width)
            report = attachment.report().controls[0]
            assert report.picture == (height, width)
            assert report.maps[0] == (height // 8, width // 8)


def test_odd_latents_keep_every_level_in_step(pipeline):
    with armature.attach(pipeline, sketch()) as attachment:
        SD.run(pipeline, height=264, width=136, num_inference_steps=1)
        assert attachment.report().controls[0].maps == ((33, 17), (17, 9), (9, 5))


def test_a_size_that_is_no_multiple_of_the_stride_is_padded_and_told():
    case = CASES["SDXL"]
    pipeline = case.build()
    with armature.attach(pipeline, Control(case.adapter(), drawing())) as attachment:
        case.run(pipeline, height=72, width=72, num_inference_steps=1)
        report = attachment.report().controls[0]
    assert report.picture == (80, 80)
    assert "Padded from 72 x 72 to 80 x 80 px, multiples of the adapter's 16." in report.notes


def test_padding_continues_the_edge_and_leaves_the_rest_in_place():
    case, seen = CASES["SDXL"], []
    pipeline, control = case.build(), Control(case.adapter(), drawing().resize((72, 72)))
    control.adapter.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    with armature.attach(pipeline, control):
        case.run(pipeline, height=72, width=72, num_inference_steps=1)
    inner = torch.from_numpy((np.asarray(drawing().resize((72, 72))) > 127).astype(np.float32))
    assert torch.equal(seen[0][0, 0, :72, :72], inner)
    assert torch.equal(seen[0][0, 0, :72, 72:], inner[:, -1:].expand(-1, 8))


def test_every_form_of_one_control_gives_one_picture(unet, tmp_path):
    path = tmp_path / "drawing.png"
    drawing().save(path)
    array = np.asarray(drawing())
    forms = [drawing(), path, str(path), array, torch.from_numpy(array.copy())[None] / 255, [drawing()]]
    results = []
    for form in forms:
        with armature.attach(unet, Control(sd_adapter(), form)):
            results.append(call(unet))
    assert all(torch.equal(result, results[0]) for result in results)


def test_a_file_may_vanish_once_attached(unet, tmp_path):
    path = tmp_path / "drawing.png"
    drawing().save(path)
    with armature.attach(unet, Control(sd_adapter(), path)):
        path.unlink()
        assert call(unet).isfinite().all()


def test_a_mask_keeps_the_change_on_its_side(unet):
    """Looked at where the features enter; further on the U-Net spreads everything."""
    site, seen = unet.down_blocks[0].attentions[-1], []
    for controls in ([], sketch(mask=half_mask())):
        with armature.attach(unet, controls):
            handle = site.register_forward_hook(lambda module, args, output: seen.append(output[0]))
            call(unet)
            handle.remove()
    change = (seen[1] - seen[0]).abs()
    assert change[..., :4].amin(dim=(1, 2)).min() > 0
    assert change[..., 4:].max() == 0


def test_broken_weights_are_told_before_they_blacken_the_picture(unet):
    control = sketch()
    control.adapter.conv_in.weight.data[0] = torch.nan
    with (
        armature.attach(unet, control),
        pytest.raises(AttachError, match="features of the sketch adapter are not fini"),
    ):
        call(unet)


def test_the_report_before_during_and_after(pipeline):
    with armature.attach(pipeline, [sketch(end=0.5), sketch(weight=0)]) as attachment:
        report = attachment.report()
        assert "not run yet" in str(report)
        assert report.controls[0].active is None
        SD.run(pipeline, num_inference_steps=4)
        report = attachment.report()
    assert (report.steps, report.calls, report.computed, report.dtype) == (4, 4, 1, "float32")
    assert report.controls[0].active == (0, 1)
    assert report.sites[0] == "down_blocks.0.attentions.0"
    assert report.batch == "1 images, 2 guidance copies"
    assert "sketch: weights 1, 1, 1; active on 2 of 4 steps (2 U-Net calls); seen at 64 x 64 px" in str(report)
