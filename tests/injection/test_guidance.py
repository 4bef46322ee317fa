"""The copies of the latents that guidance makes are told apart, in every kind of guidance."""

import pytest
from small_parts import PROMPTS, picture
from small_pipelines import CASES, Case, control, reversible

import armature

SD = CASES["SD"]


@pytest.mark.parametrize("options", [{"guidance_scale": 1.0}, {"guidance_rescale": 0.7}])
def test_guidance_off_and_rescaled(options):
    reversible(SD, SD.build(), **options)


def test_guidance_switched_off_in_the_middle_of_a_call():
    """The trick of diffusers' documentation: a callback halves the batch."""
    pipeline, prompts = SD.build(), PROMPTS

    def stop_guidance(pipe, step, timestep, tensors):
        if step == 1:
            pipe._guidance_scale = 0.0
            tensors["prompt_embeds"] = tensors["prompt_embeds"].chunk(2)[-1]
        return tensors

    options = {
        "prompt": prompts,
        "num_inference_steps": 4,
        "callback_on_step_end": stop_guidance,
        "callback_on_step_end_tensor_inputs": ["latents", "prompt_embeds"],
    }
    with armature.attach(pipeline, control(guidance_half="conditional")) as attachment:
        assert SD.run(pipeline, **options).isfinite().all()
        assert attachment.report().batch == "2 images"
        assert attachment.report().computed == 1


@pytest.mark.parametrize("name", ["SD PAG", "SDXL PAG"])
def test_perturbed_attention_counts_as_conditional(name):
    case = CASES[name]
    pipeline = case.build()
    with armature.attach(pipeline, control(case, guidance_half="conditional")) as attachment:
        case.run(pipeline, prompt=PROMPTS)
        assert attachment.report().batch == "2 images, 3 guidance copies"
        case.run(pipeline, guidance_scale=0.0)
        assert attachment.report().batch == "1 images, 2 guidance copies"


def test_instruct_pix2pix_has_three_copies_the_first_conditional():
    case = Case("StableDiffusionInstructPix2PixPipeline", "sd", {"image": picture()}, parts={"in_channels": 8})
    pipeline, seen = case.build(), []
    for controls in ([], control(guidance_half="conditional")):
        with armature.attach(pipeline, controls) as attachment:
            handle = (
                pipeline.unet.down_blocks[0]
                .attentions[-1]
                .register_forward_hook(lambda module, args, output: seen.append(output[0]))
            )
            case.run(pipeline, num_inference_steps=1)
            handle.remove()
            assert attachment.report().batch == "1 images, 3 guidance copies"
    changes = (seen[1] - seen[0]).abs().amax(dim=(1, 2, 3)) > 0
    assert changes.tolist() == [True, False, False]


def test_the_two_halves_of_guidance_are_told_apart():
    pipeline, seen = SD.build(), []
    site = pipeline.unet.down_blocks[0].attentions[-1]
    for guidance in ("both", "conditional"):
        with armature.attach(pipeline, [] if guidance == "both" else control(guidance_half=guidance)):
            handle = site.register_forward_hook(lambda module, args, output: seen.append(output[0]))
            SD.run(pipeline, num_inference_steps=1)
            handle.remove()
    unconditional, conditional = (seen[1] - seen[0]).abs().amax(dim=(1, 2, 3))
    assert unconditional == 0
    assert conditional > 0
