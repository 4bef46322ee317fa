"""Small random bases, adapters and pictures, in memory and on disk in the folder layout of the real ones."""

import functools

import diffusers
import torch
import transformers
from PIL import Image, ImageDraw, ImageOps

from armature.adapters.base import AdapterCard
from armature.adapters.networks.full import FullSpec
from armature.adapters.networks.full_xl import FullXLSpec
from armature.adapters.registry import build_adapter
from armature.adapters.save import save_adapter
from armature.conditions.kinds import contract_for

# Progress bars of saving and loading, and advice on small models, would drown the tests' own output.
transformers.utils.logging.disable_progress_bar()
diffusers.utils.logging.disable_progress_bar()
diffusers.utils.logging.set_verbosity_error()

SIZE, TEXT = 64, 32
SD_WIDTHS, XL_WIDTHS = (16, 16, 32), (16, 32, 32)
SCHEDULE = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}


@functools.cache
def tokenizer():
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    words = ["<|startoftext|>", "<|endoftext|>", *letters, *(letter + "</w>" for letter in letters)]
    vocabulary = {word: index for index, word in enumerate(words)}
    return transformers.CLIPTokenizer(vocab=vocabulary, merges=[], model_max_length=16)


def text_encoder(kind=transformers.CLIPTextModel, width=TEXT, act="quick_gelu"):
    config = transformers.CLIPTextConfig(
        vocab_size=64, hidden_size=width, hidden_act=act, intermediate_size=32, num_attention_heads=4,
        num_hidden_layers=2,
        max_position_embeddings=16, projection_dim=32, bos_token_id=0, eos_token_id=1, pad_token_id=1,
    )  # fmt: skip
    return kind(config).eval()


def autoencoder(seed=0):
    torch.manual_seed(seed)
    return diffusers.AutoencoderKL(
        block_out_channels=(8, 8, 8, 8),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        norm_num_groups=4,
        layers_per_block=1,
    ).eval()


def sd_pipeline(in_channels=4):
    """A StableDiffusionPipeline; with 9 channels its U-Net is that of an inpainting model."""
    vae = autoencoder()
    unet = diffusers.UNet2DConditionModel(
        sample_size=8,
        in_channels=in_channels,
        block_out_channels=SD_WIDTHS,
        layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=TEXT,
        attention_head_dim=8,
        norm_num_groups=8,
    )
    return diffusers.StableDiffusionPipeline(
        vae, text_encoder(), tokenizer(), unet.eval(), scheduler(), None, None, requires_safety_checker=False
    )


def xl_pipeline(second_width=TEXT):
    """A StableDiffusionXLPipeline."""
    vae = autoencoder()
    unet = diffusers.UNet2DConditionModel(
        sample_size=8,
        block_out_channels=XL_WIDTHS,
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=TEXT + second_width,
        attention_head_dim=(2, 4, 4),
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        transformer_layers_per_block=(1, 1, 1),
        projection_class_embeddings_input_dim=80,
        norm_num_groups=8,
    )
    second = text_encoder(transformers.CLIPTextModelWithProjection, second_width, "gelu")
    return diffusers.StableDiffusionXLPipeline(
        vae, text_encoder(), second, tokenizer(), tokenizer(), unet.eval(), scheduler()
    )


def scheduler():
    return diffusers.DDIMScheduler(**SCHEDULE, steps_offset=1, clip_sample=False)


def sd_adapter(kind="sketch"):
    torch.manual_seed(1)
    card = AdapterCard(kind=kind, family="sd", contract=contract_for(kind, in_channels=1))
    return build_adapter(FullSpec(1, SD_WIDTHS, blocks=1), card).eval()


def xl_adapter(kind="sketch"):
    torch.manual_seed(1)
    card = AdapterCard(kind=kind, family="sdxl", contract=contract_for(kind, in_channels=1))
    return build_adapter(FullXLSpec(1, (*XL_WIDTHS, XL_WIDTHS[-1]), blocks=1), card).eval()


def write_bases(folder):
    sd_pipeline().save_pretrained(folder / "sd")
    xl_pipeline().save_pretrained(folder / "sdxl")
    save_adapter(sd_adapter(), folder / "sketch")
    save_adapter(xl_adapter(), folder / "xl_sketch")
    return {name: folder / name for name in ("sd", "sdxl", "sketch", "xl_sketch")}


def write_pictures(folder):
    lines = Image.new("L", (SIZE, SIZE), 0)
    pen = ImageDraw.Draw(lines)
    pen.rectangle((8, 12, 40, 50), outline=255, width=2)
    pen.line((4, 60, 60, 30), fill=255, width=2)
    photo = Image.new("RGB", (SIZE, SIZE), (90, 130, 60))
    ImageDraw.Draw(photo).ellipse((8, 10, 40, 50), fill=(200, 40, 40))
    mask = Image.new("L", (SIZE, SIZE), 0)
    mask.paste(255, (0, 0, SIZE // 2, SIZE))
    made = {"lines": lines, "ink": ImageOps.invert(lines), "photo": photo, "mask": mask}
    for name, picture in made.items():
        picture.save(folder / f"{name}.png")
    return {name: folder / f"{name}.png" for name in made}
