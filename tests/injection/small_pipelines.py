"""Every kind of diffusers pipeline that has a U-Net, around small random models, and one call of each."""

import functools
import inspect
from dataclasses import dataclass, field
from typing import Any

import diffusers
import torch
from diffusers import AutoencoderKL, ControlNetModel, MotionAdapter, UNetMotionModel
from PIL import Image, ImageDraw
from small_models import sd_unet, xl_unet
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from armature.adapters.base import AdapterCard
from armature.adapters.build import build_adapter
from armature.adapters.spec import full_spec, full_xl_spec
from armature.conditions.contract import contract_for

# diffusers advises on every construction of a small model; nothing in it concerns these tests.
diffusers.utils.logging.set_verbosity_error()

SD_WIDTHS, XL_WIDTHS = (16, 16, 32), (16, 32, 32)
SIZE = 64
PROMPTS = ["a red house", "two trees"]


@functools.cache
def tokenizer():
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    words = ["<|startoftext|>", "<|endoftext|>", *letters, *(letter + "</w>" for letter in letters)]
    return CLIPTokenizer(vocab={word: index for index, word in enumerate(words)}, merges=[], model_max_length=16)


def text_encoder(kind=CLIPTextModel, width=32):
    torch.manual_seed(0)
    config = CLIPTextConfig(
        vocab_size=64, hidden_size=width, intermediate_size=32, num_attention_heads=4, num_hidden_layers=2,
        max_position_embeddings=16, projection_dim=32, bos_token_id=0, eos_token_id=1, pad_token_id=1,
    )  # fmt: skip
    return kind(config).eval()


def vae():
    torch.manual_seed(0)
    return AutoencoderKL(
        block_out_channels=(8, 8, 8, 8),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        latent_channels=4,
        norm_num_groups=4,
        layers_per_block=1,
    ).eval()


def scheduler(name="DDIMScheduler", **options):
    kind = getattr(diffusers, name)
    if "steps_offset" in inspect.signature(kind.__init__).parameters:
        options = {"steps_offset": 1, **options}
    if name == "DDIMScheduler":
        options = {"clip_sample": False, **options}
    return kind(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", **options)


def controlnet(unet):
    torch.manual_seed(1)
    net = ControlNetModel.from_unet(unet, conditioning_channels=3).eval()
    for block in net.controlnet_down_blocks:
        # A new ControlNet starts at zero; this one is to change something.
        torch.nn.init.normal_(block.weight, std=0.1)
    return net


def picture(seed=0):
    """A picture for image-to-image and as ControlNet's hint."""
    image = Image.new("RGB", (SIZE, SIZE), (90 + 20 * seed, 130, 60))
    ImageDraw.Draw(image).ellipse((8 + seed, 10, 40, 50), fill=(200, 40, 40))
    return image


def drawing(seed=0):
    """A white-on-black control."""
    image = Image.new("L", (SIZE, SIZE), 0)
    pen = ImageDraw.Draw(image)
    pen.rectangle((8 + 7 * seed, 12, 40 + 2 * seed, 50), outline=255, width=2)
    pen.line((4, 60 - 9 * seed, 60, 30), fill=255, width=2)
    return image


def half_mask():
    mask = Image.new("L", (SIZE, SIZE), 0)
    mask.paste(255, (0, 0, SIZE // 2, SIZE))
    return mask


def sd_adapter(seed=0, channels=1, widths=SD_WIDTHS, kind="sketch"):
    torch.manual_seed(seed)
    card = AdapterCard(kind=kind, family="sd", contract=contract_for(kind, in_channels=channels))
    return build_adapter(full_spec(channels, widths, blocks=1), card).eval()


def xl_adapter(seed=0, channels=1, widths=(*XL_WIDTHS, XL_WIDTHS[-1]), kind="sketch"):
    torch.manual_seed(seed)
    card = AdapterCard(kind=kind, family="sdxl", contract=contract_for(kind, in_channels=channels))
    return build_adapter(full_xl_spec(channels, widths, blocks=1), card).eval()


def sd_parts(**replaced):
    unet_options = {"in_channels": replaced.pop("in_channels", 4)}
    parts = {
        "vae": vae(),
        "text_encoder": text_encoder(),
        "tokenizer": tokenizer(),
        "unet": sd_unet(SD_WIDTHS, **unet_options),
        "scheduler": scheduler(),
        "safety_checker": None,
        "feature_extractor": None,
    }
    return {**parts, **replaced}


def xl_parts(**replaced):
    parts = {
        "vae": vae(),
        "text_encoder": text_encoder(),
        "text_encoder_2": text_encoder(CLIPTextModelWithProjection),
        "tokenizer": tokenizer(),
        "tokenizer_2": tokenizer(),
        "unet": xl_unet(XL_WIDTHS),
        "scheduler": scheduler(),
    }
    return {**parts, **replaced}


def motion_parts(**replaced):
    parts = sd_parts()
    torch.manual_seed(2)
    motion = MotionAdapter(
        block_out_channels=SD_WIDTHS, motion_layers_per_block=1, motion_num_attention_heads=2, motion_norm_num_groups=8
    )
    parts["unet"] = UNetMotionModel.from_unet2d(parts["unet"], motion).eval()
    parts = {name: parts[name] for name in ("vae", "text_encoder", "tokenizer", "unet", "scheduler")}
    return {**parts, "motion_adapter": motion, **replaced}


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
    "SDXL PAG": Case("StableDiffusionXLPAGPipeline", "sdxl", {"pag_scale": 2.0}),
    "AnimateDiff": Case("AnimateDiffPipeline", "motion", _VIDEO),
    "AnimateDiff video": Case("AnimateDiffVideoToVideoPipeline", "motion", {"video": [picture(), picture(1)]}),
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
