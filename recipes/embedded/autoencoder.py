"""Train the embedded autoencoder: python recipes/embedded/autoencoder.py SCENES RUN [--minutes M].

An AutoencoderKL of four levels (stride 8, 4 latent channels). Convolutional only, so it learns from 64-pixel crops and
ends on whole 128-pixel scenes, whose group statistics are those of use. With --polish RUN the decoder
of a finished run is trained on alone: latents stay what they are, so a base model that learns on them may do so
meanwhile.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from common import HELD_OUT, Run, Store, averaged
from diffusers import AutoencoderKL
from PIL import Image
from torch import Tensor

from armature.toyworld import scene

KL_WEIGHT = 2e-6
EDGE_WEIGHT = 1.0
CHROMA_WEIGHT = 1.0
WHOLE_SCENES_FROM = 0.92


def build() -> AutoencoderKL:
    """The untrained autoencoder."""
    vae = AutoencoderKL(
        in_channels=3,
        out_channels=3,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(16, 32, 64, 128),
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=8,
        sample_size=128,
        mid_block_add_attention=False,
    )
    with torch.no_grad():
        # Nearly noiseless latents to begin with: at the usual start (a deviation of 1 around means near 0) the decoder
        # learns to ignore them and stays there.
        vae.quant_conv.bias[4:] = -6.0
        vae.quant_conv.weight[4:] *= 0.1
    return vae.to(memory_format=torch.channels_last)


def to_tensor(pictures: np.ndarray) -> Tensor:
    """(n, h, w, 3) uint8 -> (n, 3, h, w) float in -1..1."""
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 127.5 - 1


def crops(pictures: np.ndarray, run: Run, seed: int) -> Iterator[Tensor]:
    """Endless batches of 6 crops of 64 pixels, later of one whole scene: many small steps learn fastest here."""
    rng = np.random.default_rng(seed)
    while True:
        if run.progress >= WHOLE_SCENES_FROM:
            yield to_tensor(np.stack([pictures[i] for i in rng.integers(len(pictures), size=4)]))
            continue
        batch = []
        for i in rng.integers(len(pictures), size=6):
            # Most objects stand in the lower two thirds; crops favour them over empty sky.
            y, x = rng.integers(0, 65), rng.integers(0, 65)
            y = max(y, rng.integers(0, 65))
            batch.append(pictures[i, y : y + 64, x : x + 64])
        yield to_tensor(np.stack(batch))


def edges(pictures: Tensor) -> tuple[Tensor, Tensor]:
    """Differences of neighbouring pixels, down and across: outlines weigh more than areas."""
    return pictures[..., 1:, :] - pictures[..., :-1, :], pictures[..., 1:] - pictures[..., :-1]


def main() -> None:
    """Train, then write the averaged autoencoder with its measured latent scale to RUN/vae."""
    parser = argparse.ArgumentParser()
    parser.add_argument("scenes", type=Path)
    parser.add_argument("run", type=Path)
    parser.add_argument("--minutes", type=float, default=40.0)
    parser.add_argument("--count", type=int, default=48_000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--polish", type=Path, help="a finished run whose decoder to train on")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    vae = build()
    if arguments.polish:
        vae = AutoencoderKL.from_pretrained(arguments.polish / "vae").to(memory_format=torch.channels_last)
        vae.encoder.requires_grad_(False)
        vae.quant_conv.requires_grad_(False)
    held = to_tensor(np.stack([scene(HELD_OUT + i).picture for i in range(64)]))

    def loss(x: Tensor) -> Tensor:
        with torch.set_grad_enabled(not arguments.polish):
            posterior = vae.encode(x).latent_dist
        z = posterior.mean + posterior.std * torch.randn_like(posterior.mean)
        out = vae.decode(z, return_dict=False)[0]
        error = (out - x).abs().mean() + (out - x).square().mean()
        edge = sum((a - b).abs().mean() for a, b in zip(edges(out), edges(x), strict=True))
        # What is left of the error without its grey part: small things keep their brightness long before their hue.
        chroma = (out - x - (out - x).mean(1, keepdim=True)).abs().mean()
        kl = posterior.kl().mean() * (4096 / x[0, 0].numel())
        return error + EDGE_WEIGHT * edge + CHROMA_WEIGHT * chroma + KL_WEIGHT * kl

    def preview() -> None:
        vae.eval()
        with torch.no_grad():
            z = torch.cat([vae.encode(x).latent_dist.mean for x in held.split(4)])
            out = torch.cat([vae.decode(x, return_dict=False)[0].clamp(-1, 1) for x in z.split(4)])
        vae.train()
        print(
            {"held_out_mae": round((out - held).abs().mean().item(), 4), "latent_std": round(z.std().item(), 3)},
            flush=True,
        )
        sheet = torch.cat([torch.cat([held[:8], out[:8]]), torch.cat([held[8:16], out[8:16]])])
        rows = [torch.cat(list(row), 2) for row in sheet.split(8)]
        pixels = ((torch.cat(rows, 1) + 1) * 127.5).byte().permute(1, 2, 0).numpy()
        Image.fromarray(pixels).save(arguments.run / "preview.png")

    run = Run(
        arguments.run,
        {"vae": vae},
        arguments.minutes,
        8e-4 if arguments.polish else 1.2e-3,
        loss,
        iter(()),
        preview=preview,
        preview_minutes=6,
    )
    run.batches = crops(
        Store(arguments.scenes, arguments.count).array("picture"), run, seed=len(list(arguments.run.glob("*")))
    )
    arguments.run.mkdir(parents=True, exist_ok=True)
    run.train()
    averaged(arguments.run, {"vae": vae})
    vae.eval()
    with torch.no_grad():
        z = vae.encode(held).latent_dist.mean
    if not arguments.polish:
        vae.register_to_config(scaling_factor=round(1 / z.std().item(), 5))
    vae.save_pretrained(arguments.run / "vae")


if __name__ == "__main__":
    main()
