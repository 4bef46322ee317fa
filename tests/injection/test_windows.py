"""start and end are fractions of the steps that a call really runs, in every pipeline and with every sampler."""

import pytest
import torch
from small_models import sd_unet, unet_inputs
from small_parts import SD_WIDTHS, drawing, sd_adapter
from small_pipelines import CASES, SAMPLERS

import armature
from armature import AttachError, Control


def windowed(case, **options):
    return Control(case.adapter(), drawing(), weight=3.0, **options)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_half_of_eight_steps_is_four_with_every_sampler(sampler):
    case = CASES["SD"]
    name, options = SAMPLERS[sampler]
    pipeline = case.build(name, **options)
    with armature.attach(pipeline, [windowed(case, end=0.5), windowed(case, start=0.5)]) as attachment:
        case.run(pipeline, num_inference_steps=8)
        first, second = attachment.report().controls
        calls = attachment.report().calls
    assert (first.active, second.active) == ((0, 1, 2, 3), (4, 5, 6, 7))
    assert first.calls + second.calls == calls


@pytest.mark.parametrize("sampler", ["DDIM", "Euler", "Heun", "DPM++ 2M", "LCM"])
@pytest.mark.parametrize("name", ["SD img2img", "SD inpaint", "SDXL img2img"])
def test_image_to_image_counts_the_steps_of_its_tail(name, sampler):
    case = CASES[name]
    kind, options = SAMPLERS[sampler]
    pipeline = case.build(kind, **options)
    with armature.attach(pipeline, [windowed(case, end=0.5), windowed(case)]) as attachment:
        case.run(pipeline, num_inference_steps=10, strength=0.4)
        report = attachment.report()
    assert report.steps == 4
    assert report.controls[0].active == (0, 1)
    assert report.controls[1].calls == report.calls


def test_the_base_of_an_sdxl_ensemble_counts_to_its_denoising_end():
    case = CASES["SDXL"]
    pipeline = case.build("EulerDiscreteScheduler")
    with armature.attach(pipeline, windowed(case, start=0.5)) as attachment:
        case.run(pipeline, num_inference_steps=10, denoising_end=0.6)
        report = attachment.report()
    assert (report.steps, report.controls[0].active) == (6, (3, 4, 5))


def test_the_refining_half_counts_from_its_denoising_start():
    case = CASES["SDXL img2img"]
    pipeline = case.build("EulerDiscreteScheduler")
    with armature.attach(pipeline, windowed(case, end=0.5)) as attachment:
        case.run(pipeline, num_inference_steps=10, denoising_start=0.6, strength=0.3)
        report = attachment.report()
    assert report.steps == 4
    assert report.controls[0].active == (0, 1)


def test_outside_its_window_a_control_changes_nothing():
    """The latents of the last step depend on the first steps; those of the first do not depend on the last."""
    case, seen = CASES["SD"], {}
    pipeline = case.build()

    def keep(pipe, step, timestep, tensors):
        seen.setdefault(step, []).append(tensors["latents"].clone())
        return tensors

    case.run(pipeline, num_inference_steps=4, callback_on_step_end=keep)
    with armature.attach(pipeline, windowed(case, start=0.5)):
        case.run(pipeline, num_inference_steps=4, callback_on_step_end=keep)
    equal = [torch.equal(*seen[step]) for step in range(4)]
    assert equal == [True, True, False, False]


def test_the_steps_are_those_of_the_call_not_of_the_one_before():
    case = CASES["SD"]
    pipeline = case.build()
    with armature.attach(pipeline, windowed(case, end=0.5)) as attachment:
        for steps in (2, 6, 4):
            case.run(pipeline, num_inference_steps=steps)
            assert attachment.report().controls[0].active == tuple(range(steps // 2))


def test_a_sampler_swapped_after_attaching_is_followed():
    case = CASES["SD"]
    pipeline, other = case.build(), case.build("HeunDiscreteScheduler")
    with armature.attach(pipeline, windowed(case)) as attachment:
        case.run(pipeline)
        assert attachment.report().calls == 3
        pipeline.scheduler = other.scheduler
        case.run(pipeline)
        assert attachment.report().calls == 5


def test_custom_timesteps_are_counted():
    case = CASES["SD"]
    pipeline = case.build("EulerDiscreteScheduler")
    with armature.attach(pipeline, windowed(case, end=0.5)) as attachment:
        case.run(pipeline, num_inference_steps=None, timesteps=[900, 700, 400, 100])
        assert attachment.report().steps == 4


def test_a_call_cut_short_does_not_spoil_the_next():
    case = CASES["SD"]
    pipeline = case.build()

    def fail(pipe, step, timestep, tensors):
        if step == 1:
            raise ZeroDivisionError
        return tensors

    with armature.attach(pipeline, windowed(case, end=0.5)) as attachment:
        expected = case.run(pipeline, num_inference_steps=4)
        with pytest.raises(ZeroDivisionError):
            case.run(pipeline, num_inference_steps=4, callback_on_step_end=fail)
        assert torch.equal(case.run(pipeline, num_inference_steps=4), expected)
        assert attachment.report().controls[0].active == (0, 1)


def test_an_update_in_the_middle_of_a_call_keeps_its_steps():
    case = CASES["SD"]
    pipeline = case.build()
    attachment = armature.attach(pipeline, windowed(case))

    def change(pipe, step, timestep, tensors):
        if step == 0:
            attachment.update(windowed(case, start=0.5))
        return tensors

    with attachment:
        case.run(pipeline, num_inference_steps=4, callback_on_step_end=change)
        assert attachment.report().controls[0].active == (2, 3)


def test_a_window_that_falls_between_the_steps_raises():
    case = CASES["SD"]
    pipeline = case.build()
    message = r"The sketch control from start=0.8 to end=0.95 falls on none of the 3 steps of this call; widen it"
    with armature.attach(pipeline, windowed(case, start=0.8, end=0.95)), pytest.raises(AttachError, match=message):
        case.run(pipeline, num_inference_steps=3)


def test_a_bare_unet_has_no_steps():
    unet = sd_unet(SD_WIDTHS)
    control = Control(sd_adapter(), drawing(), end=0.5)
    message = "acts from start=0 to end=0.5, and this U-Net call belongs to no step of a pipeline; attach to the pipel"
    with armature.attach(unet, control), pytest.raises(AttachError, match=message):
        unet(**unet_inputs(unet))
