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
from autoencoder import to_tensor
from common import HELD_OUT, Run, Store, averaged, join, wait, world
from diffusers import (
    AutoencoderKL,
    DPMSolverMultistepScheduler,
    StableDiffusionPipeline,
    UNet2DConditionModel,
)
from PIL import Image
from text import LENGTH, WIDTH, contents
from torch import Tensor, nn
from transformers import CLIPTextModel, CLIPTokenizer

from armature.toyworld import scene
from armature.toyworld.layout import plan_scene
from armature.toyworld.palette import CLASSES, COLOUR_NAMES
from armature.training.trainer.loss import mean_squared_error, noised, target

WIDTHS = (64, 128, 192, 192)
BATCH = 16
CAPTION_DROPOUT = 0.1
SNR_CAP = 5.0
SCHEDULE = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "num_train_timesteps": 1000}


def build() -> UNet2DConditionModel:
    """The untrained U-Net: SD 1.x's four encoder levels in small."""
    return UNet2DConditionModel(
        sample_size=16,
        in_channels=4,
        out_channels=4,
        block_out_channels=WIDTHS,
        layers_per_block=1,
        cross_attention_dim=WIDTH,
        attention_head_dim=tuple(width // 32 for width in WIDTHS),
        norm_num_groups=16,
        down_block_types=(*("CrossAttnDownBlock2D",) * 3, "DownBlock2D"),
        up_block_types=("UpBlock2D", *("CrossAttnUpBlock2D",) * 3),
    ).to(memory_format=torch.channels_last)


def scheduler() -> DPMSolverMultistepScheduler:
    """The sampler that ships with the model."""
    return DPMSolverMultistepScheduler(
        **SCHEDULE, prediction_type="v_prediction", timestep_spacing="trailing", steps_offset=1
    )


@torch.no_grad()
def encode(vae: AutoencoderKL, pictures: np.ndarray, path: Path, rank: int) -> np.ndarray:
    """Means and standard deviations of all latents, (n, 8, 16, 16) half precision, kept on disk at path.

    Each process encodes its share.
    """
    shape = (len(pictures), 8, 16, 16)
    if not path.exists() or path.stat().st_size != int(np.prod(shape)) * 2:
        part = path.with_suffix(".part")
        if rank == 0:
            np.memmap(part, np.float16, "w+", shape=shape).flush()
        wait()
        out = np.memmap(part, np.float16, "r+", shape=shape)
        start = time.monotonic()
        for i in range(8 * rank, len(pictures), 8 * world()):
            x = to_tensor(pictures[i : i + 8]).to(memory_format=torch.channels_last)
            latent = vae.encode(x).latent_dist
            out[i : i + 8] = torch.cat([latent.mean, latent.std], 1).half().numpy()
        out.flush()
        wait()
        if rank == 0:
            part.rename(path)
            print({"encoded": len(pictures), "seconds": round(time.monotonic() - start)}, flush=True)
    wait()
    return np.memmap(path, np.float16, "r", shape=shape)


def main() -> None:
    """Write RUN/pipeline, a StableDiffusionPipeline folder in half precision."""
    parser = argparse.ArgumentParser()
    for name in ("scenes", "autoencoder", "text", "run"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--minutes", type=float, default=150.0)
    parser.add_argument("--count", type=int, default=48_000)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--warm", type=Path, help="a pipeline folder to go on from, on the same latents")
    arguments = parser.parse_args()
    rank = join()
    torch.manual_seed(int(time.time()) + rank)
    arguments.run.mkdir(parents=True, exist_ok=True)
    store = Store(arguments.scenes, arguments.count)
    vae = AutoencoderKL.from_pretrained(arguments.autoencoder / "vae").eval().to(memory_format=torch.channels_last)
    torch.set_num_threads(arguments.threads)
    latents = torch.from_numpy(np.array(encode(vae, store.array("picture"), arguments.run / "latents.f16", rank)))
    tokenizer = CLIPTokenizer.from_pretrained(arguments.text / "tokenizer")
    ids = tokenizer(
        store.captions, padding="max_length", truncation=True, max_length=LENGTH, return_tensors="pt"
    ).input_ids
    empty = tokenizer("", padding="max_length", max_length=LENGTH, return_tensors="pt").input_ids[0]
    # The middle of each latent cell says what the cell shows.
    classes = torch.from_numpy(np.ascontiguousarray(store.array("classes")[:, 4::8, 4::8])).long()
    colours = torch.from_numpy(np.ascontiguousarray(store.array("colours")[:, 4::8, 4::8])).long()
    # A scene's plan is the first thing its seed decides, so its contents need no drawing.
    answers = torch.from_numpy(
        np.stack([contents(plan_scene(np.random.default_rng(i), 128)) for i in range(arguments.count)])
    )
    text_encoder = CLIPTextModel.from_pretrained(arguments.text / "text_encoder")
    answering = nn.Linear(WIDTH, answers.shape[1])
    averaged(arguments.text, {"encoder": text_encoder, "head": answering})
    text_encoder.train()
    unet = build()
    if arguments.warm:
        unet.load_state_dict(UNet2DConditionModel.from_pretrained(arguments.warm / "unet").float().state_dict())
        text_encoder.load_state_dict(
            CLIPTextModel.from_pretrained(arguments.warm / "text_encoder").float().state_dict()
        )
    naming = nn.Conv2d(WIDTHS[0], len(CLASSES) + 1 + len(COLOUR_NAMES), 1)
    alphas = scheduler().alphas_cumprod
    scale = vae.config.scaling_factor
    seen: list[Tensor] = []
    unet.conv_norm_out.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0]))

    def forward(noisy: Tensor, t: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        seen.clear()
        states = text_encoder(tokens)
        out = unet(noisy, t, states.last_hidden_state, return_dict=False)[0]
        return out, naming(seen.pop()), answering(states.pooler_output)

    def batches() -> Iterator[tuple[Tensor, ...]]:
        while True:
            pick = torch.randint(len(latents), (BATCH,))
            mean, std = latents[pick].float().chunk(2, 1)
            told = torch.rand(BATCH, 1) >= CAPTION_DROPOUT
            tokens = torch.where(told, ids[pick], empty)
            z = (mean + std * torch.randn_like(std)) * scale
            yield z, tokens, classes[pick], colours[pick], answers[pick], told

    def loss(data: tuple[Tensor, ...]) -> Tensor:
        z, tokens, cells, tints, content, told = data
        t = torch.randint(1000, (BATCH,))
        noise = torch.randn_like(z)
        noisy = noised(z, noise, alphas[t]).to(memory_format=torch.channels_last)
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

    def preview() -> None:
        pipe = pipeline()
        pipe.set_progress_bar_config(disable=True)
        texts = [scene(HELD_OUT + i).caption for i in range(16)]
        generator = torch.Generator().manual_seed(1)
        images = pipe(texts, num_inference_steps=16, guidance_scale=3.5, generator=generator).images
        rows = [np.concatenate([np.array(p) for p in images[r : r + 8]], 1) for r in (0, 8)]
        Image.fromarray(np.concatenate(rows)).save(arguments.run / "preview.png")
        (arguments.run / "preview.json").write_text(json.dumps(texts, indent=1))
        text_encoder.train()
        unet.train()

    modules: dict[str, nn.Module] = {
        "unet": unet,
        "text_encoder": text_encoder,
        "naming": naming,
        "answering": answering,
    }
    run = Run(
        arguments.run, modules, arguments.minutes, 7e-4, loss, batches(), flat=0.3, preview=preview, preview_minutes=12
    )
    run.train()
    if rank:
        return
    averaged(arguments.run, modules)
    pipeline().to(dtype=torch.float16).save_pretrained(arguments.run / "pipeline")


if __name__ == "__main__":
    main()
