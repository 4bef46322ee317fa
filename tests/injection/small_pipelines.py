"""Every kind of diffusers pipeline that has a U-Net, around small random models, and one call of each."""

import inspect
from dataclasses import dataclass, field
from typing import Any

import diffusers
import torch
from small_models import sd_unet
from small_parts import (
    PROMPTS,
    SD_WIDTHS,
    SIZE,
    controlnet,
    drawing,
    half_mask,
    motion_parts,
    picture,
    scheduler,
    sd_adapter,
    sd_parts,
    xl_adapter,
    xl_parts,
)

import armature
from armature import Control


@dataclass
class Case:
    """One pipeline class with what its call needs besides a prompt."""

    name: str
    family: str
    call: dict[str, Any] = field(default_factory=dict)
    extra: Any = None
    parts: dict[str, Any] = field(default_factory=dict)
    auto: bool = False

    def build(self, sampler="DDIMScheduler", **options):
        """The pipeline, with a sampler of diffusers' name."""
        maker = {"sd": sd_parts, "sdxl": xl_parts, "motion": motion_parts}[self.family]
        parts = maker(scheduler=scheduler(sampler, **options), **self.parts)
        if self.extra is not None:
            parts.update(self.extra(parts))
        kind = getattr(diffusers, self.name)
        if "requires_safety_checker" in inspect.signature(kind.__init__).parameters:
            parts["requires_safety_checker"] = False
        pipeline = kind.from_pipe(_base(self.family, parts)) if self.auto else kind(**parts)
        pipeline.set_progress_bar_config(disable=True)
        return pipeline

    def adapter(self, seed=0):
        """An adapter that fits."""
        return xl_adapter(seed) if self.family == "sdxl" else sd_adapter(seed)

    def run(self, pipeline, **options):
        """One call with fixed noise: a tensor of pictures (or frames)."""
        options = {
            "prompt": PROMPTS[0],
            "num_inference_steps": 3,
            "guidance_scale": 4.0,
            "generator": torch.Generator().manual_seed(11),
            "output_type": "pt" if self.family == "motion" else "latent",
            **self.call,
            **options,
        }
        if "image" not in self.call and "video" not in self.call:
            options = {"height": SIZE, "width": SIZE, **options}
        output = pipeline(**options)
        return output.frames if self.family == "motion" else output.images


def _base(family, parts):
    if family == "sdxl":
        return diffusers.StableDiffusionXLPipeline(**parts)
    return diffusers.StableDiffusionPipeline(**parts, requires_safety_checker=False)


def _one_controlnet(parts):
    return {"controlnet": controlnet(parts["unet"])}


def _two_controlnets(parts):
    return {"controlnet": [controlnet(parts["unet"]), controlnet(parts["unet"])]}


_IMG = {"image": picture(), "strength": 0.7}
_FILL = {"image": picture(), "mask_image": half_mask(), "strength": 0.7}
_HINT = {"image": picture(1), "height": SIZE, "width": SIZE}
_HINTS = {"image": [picture(1), picture(2)], "height": SIZE, "width": SIZE}
_VIDEO = {"num_frames": 2}

CASES = {
    "SD": Case("StableDiffusionPipeline", "sd"),
    "SD img2img": Case("StableDiffusionImg2ImgPipeline", "sd", _IMG),
    "SD inpaint": Case("StableDiffusionInpaintPipeline", "sd", _FILL),
    "SD inpaint, 9 channels": Case("StableDiffusionInpaintPipeline", "sd", _FILL, parts={"in_channels": 9}),
    "AutoPipeline text": Case("AutoPipelineForText2Image", "sd", auto=True),
    "AutoPipeline img2img": Case("AutoPipelineForImage2Image", "sd", _IMG, auto=True),
    "AutoPipeline inpaint": Case("AutoPipelineForInpainting", "sd", _FILL, auto=True),
    "SD ControlNet": Case("StableDiffusionControlNetPipeline", "sd", _HINT, _one_controlnet),
    "SD ControlNet x 2": Case("StableDiffusionControlNetPipeline", "sd", _HINTS, _two_controlnets),
    "SD ControlNet img2img": Case(
        "StableDiffusionControlNetImg2ImgPipeline", "sd", {**_IMG, "control_image": picture(1)}, _one_controlnet
    ),
    "SD ControlNet inpaint": Case(
        "StableDiffusionControlNetInpaintPipeline", "sd", {**_FILL, "control_image": picture(1)}, _one_controlnet
    ),
    "SD PAG": Case("StableDiffusionPAGPipeline", "sd", {"pag_scale": 2.0}),
    "SDXL": Case("StableDiffusionXLPipeline", "sdxl"),
    "SDXL img2img": Case("StableDiffusionXLImg2ImgPipeline", "sdxl", _IMG),
    "SDXL inpaint": Case("StableDiffusionXLInpaintPipeline", "sdxl", _FILL),
    "SDXL AutoPipeline": Case("AutoPipelineForText2Image", "sdxl", auto=True),
    "SDXL ControlNet": Case("StableDiffusionXLControlNetPipeline", "sdxl", _HINT, _one_controlnet),
    "SDXL ControlNet img2img": Case(
        "StableDiffusionXLControlNetImg2ImgPipeline", "sdxl", {**_IMG, "control_image": picture(1)}, _one_controlnet
    ),
    "SDXL ControlNet inpaint": Case(
        "StableDiffusionXLControlNetInpaintPipeline", "sdxl", {**_FILL, "control_image": picture(1)}, _one_controlnet
    ),
    "SDXL PAG": Case("StableDiffusionXLPAGPipeline", "sdxl", {"pag_scale": 2.0}),
    "AnimateDiff": Case("AnimateDiffPipeline", "motion", _VIDEO),
    "AnimateDiff video": Case("AnimateDiffVideoToVideoPipeline", "motion", {"video": [picture(), picture(1)]}),
    "AnimateDiff PAG": Case("AnimateDiffPAGPipeline", "motion", {**_VIDEO, "pag_scale": 2.0}),
    "AnimateDiff ControlNet": Case(
        "AnimateDiffControlNetPipeline",
        "motion",
        {**_VIDEO, "conditioning_frames": [picture(1), picture(2)]},
        lambda parts: {"controlnet": controlnet(sd_unet(SD_WIDTHS))},
    ),
}

# diffusers' class names and the options that the sampler needs; PNDM once with and once without its long warm-up.
SAMPLERS = {
    "DDIM": ("DDIMScheduler", {}),
    "PNDM": ("PNDMScheduler", {"skip_prk_steps": True}),
    "Euler": ("EulerDiscreteScheduler", {}),
    "Euler a": ("EulerAncestralDiscreteScheduler", {}),
    "Heun": ("HeunDiscreteScheduler", {}),
    "KDPM2": ("KDPM2DiscreteScheduler", {}),
    "KDPM2 a": ("KDPM2AncestralDiscreteScheduler", {}),
    "DPM++ 2M": ("DPMSolverMultistepScheduler", {}),
    "DPM++ 2M Karras": ("DPMSolverMultistepScheduler", {"use_karras_sigmas": True}),
    "UniPC": ("UniPCMultistepScheduler", {}),
    "LCM": ("LCMScheduler", {}),
}


def control(case=CASES["SD"], **options):
    """A control of the drawing, strong enough to be seen, for a case's adapter."""
    return Control(case.adapter(), drawing(), **{"weight": 3.0, **options})


def reversible(case, pipeline, **options):
    """Control the pipeline as it is; the picture changes, and changes back bit for bit. Returns the controlled one."""
    plain = case.run(pipeline, **options)
    with armature.attach(pipeline, control(case)) as attachment:
        controlled = case.run(pipeline, **options)
        assert not torch.equal(controlled, plain)
        attachment.update(control(case, weight=0))
        assert torch.equal(case.run(pipeline, **options), plain)
    assert torch.equal(case.run(pipeline, **options), plain)
    return controlled
