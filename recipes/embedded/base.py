"""Train the embedded base model: python recipes/embedded/base.py SCENES AUTOENCODER TEXT RUN [--minutes M].

Text encoder and U-Net learn jointly: v-prediction, caption dropout, averaged weights. Toyworld knows
what stands in every latent cell, so a small head, thrown away afterwards, makes the U-Net say class and colour of
each cell while it denoises: words find their places in the picture much earlier that way. The text encoder keeps
answering for the contents of its captions meanwhile (text.py).
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import (
    AutoencoderTiny,
    DPMSolverMultistepScheduler,
    StableDiffusionPipeline,
    UNet2DConditionModel,
)
from encode import encoded
from PIL import Image
from run import Run, arguments, averaged, join, precision
from store import HELD_OUT, Store
from text import LENGTH, WIDTH, captions_of, contents
from torch import Tensor, nn
from transformers import CLIPTextModel, CLIPTokenizer

from armature.bases.schedule import noised, target
from armature.toyworld import scene
from armature.toyworld.layout import plan_scene
from armature.toyworld.palette import CLASSES, COLOUR_NAMES
from armature.training.trainer.step import mean_squared_error

WIDTHS = (64, 128, 192, 192)
CAPTION_DROPOUT = 0.1
# Every scene is told in several ways, so that the base learns words and not sentences.
CAPTIONS_A_SCENE = 4
SNR_CAP = 5.0
# What is left of the picture in the last step, as an amplitude. SD's own schedule leaves 7 %, by which a base learns to
# guess the picture's mean tones; at exactly 0 most samplers divide by zero.
LAST_SIGNAL = 0.01


def build(channels: int) -> UNet2DConditionModel:
    """The untrained U-Net: SD 1.x's four encoder levels in small."""
    return UNet2DConditionModel(
        sample_size=16,
        in_channels=channels,
        out_channels=channels,
        block_out_channels=WIDTHS,
        layers_per_block=1,
        cross_attention_dim=WIDTH,
        attention_head_dim=tuple(width // 32 for width in WIDTHS),
        norm_num_groups=16,
        down_block_types=(*("CrossAttnDownBlock2D",) * 3, "DownBlock2D"),
        up_block_types=("UpBlock2D", *("CrossAttnUpBlock2D",) * 3),
    ).to(memory_format=torch.channels_last)


def betas() -> list[float]:
    """SD's scaled-linear schedule of 1000 steps, stretched until the last step keeps LAST_SIGNAL of the picture.

    Source: Lin et al. 2023, "Common diffusion noise schedules and sample steps are flawed", algorithm 1.
    """
    plain = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
    signal = (1 - plain).cumprod(0).sqrt()
    stretched = LAST_SIGNAL + (signal - signal[-1]) * (signal[0] - LAST_SIGNAL) / (signal[0] - signal[-1])
    kept = stretched.square()
    return (1 - kept / torch.cat([kept.new_ones(1), kept[:-1]])).tolist()


def scheduler() -> DPMSolverMultistepScheduler:
    """The sampler that ships with the model."""
    return DPMSolverMultistepScheduler(
        num_train_timesteps=1000,
        trained_betas=betas(),
        prediction_type="v_prediction",
        timestep_spacing="trailing",
        steps_offset=1,
    )


def main() -> None:
    """Write RUN/pipeline, a StableDiffusionPipeline folder in half precision."""
    parser = argparse.ArgumentParser()
    for name in ("scenes", "autoencoder", "text", "run"):
        parser.add_argument(name, type=Path)
    given = arguments(parser, pictures=1_200_000, batch=16)
    device = given.device
    rank = join()
    torch.manual_seed(int(time.time()) + rank)
    given.run.mkdir(parents=True, exist_ok=True)
    store = Store.open(given.scenes)
    vae = (
        AutoencoderTiny.from_pretrained(given.autoencoder / "vae").eval().to(device, memory_format=torch.channels_last)
    )
    latents = torch.from_numpy(np.array(encoded(given.autoencoder, store.count))).to(device)
    count = len(latents)
    tokenizer = CLIPTokenizer.from_pretrained(given.text / "tokenizer")
    texts = [text for seed in range(count) for text in captions_of(seed, CAPTIONS_A_SCENE)]
    ids = tokenizer(texts, padding="max_length", truncation=True, max_length=LENGTH, return_tensors="pt").input_ids
    ids = ids.short().view(count, CAPTIONS_A_SCENE, LENGTH).to(device)
    empty = tokenizer("", padding="max_length", max_length=LENGTH, return_tensors="pt").input_ids[0].to(device)
    # The middle of each latent cell says what the cell shows.
    classes = torch.from_numpy(np.ascontiguousarray(store.array("classes")[:count, 4::8, 4::8])).to(device)
    colours = torch.from_numpy(np.ascontiguousarray(store.array("colours")[:count, 4::8, 4::8])).to(device)
    # A scene's plan is the first thing its seed decides, so its contents need no drawing.
    plans = (plan_scene(np.random.default_rng(seed), 128) for seed in range(count))
    answers = torch.from_numpy(np.stack([contents(plan).astype(bool) for plan in plans])).to(device)
    text_encoder = CLIPTextModel.from_pretrained(given.text / "text_encoder")
    answering = nn.Linear(WIDTH, answers.shape[1])
    averaged(given.text, {"encoder": text_encoder, "head": answering})
    text_encoder.train()
    unet = build(vae.config.latent_channels)
    naming = nn.Conv2d(WIDTHS[0], len(CLASSES) + 1 + len(COLOUR_NAMES), 1)
    modules: dict[str, nn.Module] = {
        "unet": unet,
        "text_encoder": text_encoder,
        "naming": naming,
        "answering": answering,
    }
    for module in modules.values():
        module.to(device)
    alphas = scheduler().alphas_cumprod.to(device)
    features: list[Tensor] = []
    unet.conv_norm_out.register_forward_pre_hook(lambda _module, inputs: features.append(inputs[0]))

    def forward(noisy: Tensor, t: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        features.clear()
        states = text_encoder(tokens)
        out = unet(noisy, t, states.last_hidden_state, return_dict=False)[0]
        return out.float(), naming(features.pop()).float(), answering(states.pooler_output).float()

    def batches() -> Iterator[tuple[Tensor, ...]]:
        while True:
            pick = torch.randint(len(latents), (given.batch,), device=device)
            told = torch.rand(given.batch, 1, device=device) >= CAPTION_DROPOUT
            way = torch.randint(CAPTIONS_A_SCENE, (given.batch,), device=device)
            tokens = torch.where(told, ids[pick, way].long(), empty)
            cells = classes[pick].long(), colours[pick].long()
            yield latents[pick].float(), tokens, *cells, answers[pick].float(), told

    def loss(data: tuple[Tensor, ...]) -> Tensor:
        z, tokens, cells, tints, content, told = data
        t = torch.randint(1000, (given.batch,), device=device)
        noise = torch.randn_like(z)
        noisy = noised(z, noise, alphas[t]).to(memory_format=torch.channels_last)
        with precision(device):
            out, named, answered = forward(noisy, t, tokens)
        # Min-SNR proper would leave the noisiest steps, where captions decide the layout, next to no weight; here they
        # keep the whole of it, and only the nearly clean ones give some up.
        snr = alphas[t] / (1 - alphas[t])
        weight = (SNR_CAP / (snr + 1)).clamp(max=1.0)
        denoising = mean_squared_error(out, target("v_prediction", z, noise, alphas[t]), weight)
        naming_loss = F.cross_entropy(named[:, : len(CLASSES)], cells) + F.cross_entropy(
            named[:, len(CLASSES) :], tints
        )
        content_loss = (F.binary_cross_entropy_with_logits(answered, content, reduction="none") * told).mean()
        fading = max(0.1, 1 - 1.5 * run.progress)
        terms = {"denoising": denoising, "naming": naming_loss, "content": content_loss}
        run.note({name: float(value.detach()) for name, value in terms.items()})
        return denoising + 0.05 * fading * naming_loss + 2.0 * content_loss

    def pipeline() -> StableDiffusionPipeline:
        return StableDiffusionPipeline(
            vae, text_encoder.eval(), tokenizer, unet.eval(), scheduler(), None, None, requires_safety_checker=False
        )

    def preview() -> dict[str, float]:
        pipe = pipeline()
        pipe.set_progress_bar_config(disable=True)
        texts = [scene(HELD_OUT + i).caption for i in range(16)]
        generator = torch.Generator().manual_seed(1)
        images = pipe(texts, num_inference_steps=12, guidance_scale=2.5, generator=generator).images
        rows = [np.concatenate([np.array(p) for p in images[r : r + 8]], 1) for r in (0, 8)]
        Image.fromarray(np.concatenate(rows)).save(given.run / "preview.png")
        (given.run / "preview.json").write_text(json.dumps(texts, indent=1))
        text_encoder.train()
        unet.train()
        return {}

    run = Run(
        given.run,
        modules,
        given.pictures,
        given.batch,
        7e-4 * given.rate_factor,
        loss,
        batches(),
        flat=0.3,
        pause_after=given.pause_after,
        preview=preview,
        preview_minutes=12,
    )
    run.train()
    if rank or not run.finished:
        return
    averaged(given.run, modules)
    pipeline().to("cpu", dtype=torch.float16).save_pretrained(given.run / "pipeline")


if __name__ == "__main__":
    main()
