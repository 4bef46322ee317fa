"""The parts of small random pipelines: models, samplers, adapters, pictures."""

import functools
import inspect

import diffusers
import torch
from diffusers import AutoencoderKL, ControlNetModel, MotionAdapter, UNetMotionModel
from PIL import Image, ImageDraw
from small_models import sd_unet, xl_unet
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from armature.adapters.base import AdapterCard
from armature.adapters.networks.full import FullSpec
from armature.adapters.networks.full_xl import FullXLSpec
from armature.adapters.registry import build_adapter
from armature.conditions.kinds import contract_for

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
    return build_adapter(FullSpec(channels, widths, blocks=1), card).eval()


def xl_adapter(seed=0, channels=1, widths=(*XL_WIDTHS, XL_WIDTHS[-1]), kind="sketch"):
    torch.manual_seed(seed)
    card = AdapterCard(kind=kind, family="sdxl", contract=contract_for(kind, in_channels=channels))
    return build_adapter(FullXLSpec(channels, widths, blocks=1), card).eval()


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


class CountingAdapter:
    """Counts the passes of an adapter while it lives."""

    def __init__(self, adapter):
        self.count = 0
        adapter.register_forward_hook(self._note)

    def _note(self, *args):
        self.count += 1
