"""Train an embedded adapter: python recipes/embedded/adapter.py KIND SCENES BASE RUN [--minutes M].

The base is frozen; timesteps are drawn cubically. Line maps are roughened the way hands draw: shaken, thickened, with
gaps, so that a drawing made by a person is nothing new.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from common import HELD_OUT, Run, Store, averaged, join, world
from diffusers import StableDiffusionPipeline
from PIL import Image
from torch import Tensor

import armature
from armature.adapters.base import AdapterCard
from armature.adapters.build import build_adapter
from armature.adapters.spec import full_spec
from armature.checkpoints.save import save_adapter
from armature.conditions.contract import contract_for
from armature.data.hand import rough_lines
from armature.injection.hooks import injected
from armature.toyworld import scene
from armature.training.step import Batch, adapter_loss, alphas_of, freeze
from armature.training.timesteps import cubic_timesteps

# Of each process.
BATCH = 16
CAPTION_DROPOUT = 0.1
LINES = ("sketch", "canny")


def roughen(lines: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A hand's version of an exact line map (128, 128) uint8, still 0 or 255; half of the maps stay exact."""
    return lines if rng.random() < 0.5 else rough_lines(lines, rng)


def main() -> None:
    """Write RUN/adapter, a diffusers folder in half precision."""
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=LINES)
    for name in ("scenes", "base", "run"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--count", type=int, default=48_000)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--blocks", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    rank = join()
    torch.manual_seed(rank)
    arguments.run.mkdir(parents=True, exist_ok=True)
    store = Store(arguments.scenes, arguments.count)
    pipe = StableDiffusionPipeline.from_pretrained(arguments.base / "pipeline", dtype=torch.float32)
    pipe.set_progress_bar_config(disable=True)
    freeze(pipe.unet, pipe.vae, pipe.text_encoder)
    unet = pipe.unet.to(memory_format=torch.channels_last)
    shape = (arguments.count, 8, 16, 16)
    latents = torch.from_numpy(np.array(np.memmap(arguments.base / "latents.f16", np.float16, "r", shape=shape)))
    length = pipe.tokenizer.model_max_length
    ids = pipe.tokenizer(
        store.captions, padding="max_length", truncation=True, max_length=length, return_tensors="pt"
    ).input_ids
    empty = pipe.tokenizer("", padding="max_length", max_length=length, return_tensors="pt").input_ids[0]
    widths = tuple(unet.config.block_out_channels)
    contract = contract_for(arguments.kind, in_channels=1, source=f"embedded:{arguments.kind}")
    card = AdapterCard(kind=arguments.kind, family="sd", contract=contract)
    adapter = build_adapter(full_spec(1, widths, blocks=arguments.blocks), card).to(memory_format=torch.channels_last)
    maps = store.array(arguments.kind)
    rng = np.random.default_rng()
    scale = pipe.vae.config.scaling_factor
    alphas = alphas_of(pipe.scheduler)
    prediction = pipe.scheduler.config.prediction_type
    injection = injected(unet)

    def batches() -> Iterator[Batch]:
        while True:
            pick = torch.randint(len(latents), (BATCH,))
            mean, std = latents[pick].float().chunk(2, 1)
            tokens = torch.where(torch.rand(BATCH, 1) < CAPTION_DROPOUT, empty, ids[pick])
            with torch.no_grad():
                text = pipe.text_encoder(tokens)[0]
            drawn = np.stack([roughen(maps[i], rng) for i in pick.tolist()])
            control = torch.from_numpy(drawn).float()[:, None] / 255
            z = (mean + std * torch.randn_like(std)) * scale
            yield Batch(z.to(memory_format=torch.channels_last), text, control)

    def loss(batch: Batch) -> Tensor:
        t = cubic_timesteps(BATCH)
        noise = torch.randn_like(batch.latents)
        return adapter_loss(injection, unet, adapter, batch, t, noise, alphas, prediction)

    def preview() -> None:
        held = [scene(HELD_OUT + i) for i in range(8)]
        texts, seeds = [s.caption for s in held], range(8)
        rows = [[s.condition(arguments.kind) for s in held]]
        adapter.eval()
        # The hooks of the training loop rest meanwhile: attach brings its own.
        injection.set(None)
        for weight in (0.0, 1.0):
            control = armature.Control(adapter, [Image.fromarray(m) for m in rows[0]], weight=weight)
            with armature.attach(pipe, control):
                generators = [torch.Generator().manual_seed(s) for s in seeds]
                images = pipe(texts, num_inference_steps=16, guidance_scale=5.0, generator=generators).images
            rows.append([np.asarray(image) for image in images])
        sheet = [np.concatenate([r if r.ndim == 3 else np.repeat(r[..., None], 3, 2) for r in row], 1) for row in rows]
        Image.fromarray(np.concatenate(sheet)).save(arguments.run / "preview.png")
        adapter.train()

    run = Run(
        arguments.run,
        {"adapter": adapter},
        arguments.minutes,
        1e-3,
        loss,
        batches(),
        flat=0.3,
        preview=preview,
        preview_minutes=6,
    )
    with injection:
        run.train()
    if rank:
        return
    state = averaged(arguments.run, {"adapter": adapter})
    training = {
        "base": "embedded",
        "data": f"toyworld, {arguments.count} scenes",
        "images": state["step"] * BATCH * world(),
        "minutes": round(state["minutes"], 1),
        "timesteps": "cubic",
        "loss": "mean squared error",
    }
    adapter.card = replace(adapter.card, metadata={"training": training, "extractor": f"toyworld {arguments.kind}"})
    save_adapter(adapter.half(), arguments.run / "adapter")


if __name__ == "__main__":
    main()
