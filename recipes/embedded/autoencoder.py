"""Train the embedded autoencoder: python recipes/embedded/autoencoder.py SCENES RUN [--pictures N] [--device cuda].

An AutoencoderTiny (the shape of TAESD: residual blocks without norms, stride 8). It learns from 64-pixel crops; having
neither norms nor attention, it treats a crop as it treats a whole picture. With --polish RUN the decoder of a finished
run is trained on alone: latents stay what they are, so a base model may learn on them meanwhile.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderTiny
from linear_start import start_linear
from PIL import Image
from run import Run, arguments, averaged, precision
from store import Store, held_out, to_tensor
from torch import Tensor

CROP = 64
EDGE_WEIGHT = 1.0
CHROMA_WEIGHT = 1.0
# Every latent channel is held to mean 0 and variance 1, so that none is loud and none is idle under the base's noise.
LATENT_WEIGHT = 0.02
# The decoder meets latents that a base model made: nearly right ones.
LATENT_NOISE = 0.05
# Pictures that tell the first weights.
LINEAR_START = 64
# A picture counts as seen when its number of pixels was: four crops a picture.
CROPS_A_PICTURE = 4


def build(width: int, channels: int) -> AutoencoderTiny:
    """The untrained autoencoder.

    Decoding is to cost little, so most blocks stand where the picture is small, and none where it has its full size.
    """
    vae = AutoencoderTiny(
        encoder_block_out_channels=(width,) * 4,
        decoder_block_out_channels=(width,) * 4,
        num_encoder_blocks=(1, 2, 4, 6),
        num_decoder_blocks=(6, 4, 2, 0),
        latent_channels=channels,
    )
    return vae.to(memory_format=torch.channels_last)


def crops(pictures: np.ndarray, batch: int, seed: int) -> Iterator[Tensor]:
    """Endless batches of crops, four for each picture of the batch."""
    rng = np.random.default_rng(seed)
    room = pictures.shape[1] - CROP + 1
    while True:
        found = []
        for number in rng.integers(len(pictures), size=batch * CROPS_A_PICTURE):
            # Most objects stand in the lower two thirds; crops favour them over empty sky.
            y, x = max(rng.integers(0, room), rng.integers(0, room)), rng.integers(0, room)
            found.append(pictures[number, y : y + CROP, x : x + CROP])
        yield to_tensor(np.stack(found))


def edges(pictures: Tensor) -> tuple[Tensor, Tensor]:
    """Differences of neighbouring pixels, down and across: outlines weigh more than areas."""
    return pictures[..., 1:, :] - pictures[..., :-1, :], pictures[..., 1:] - pictures[..., :-1]


def reconstruction(out: Tensor, x: Tensor) -> Tensor:
    """Error of pixels, of their differences, and of what is left without its grey part.

    The last, because small things keep their brightness long before their hue.
    """
    error = out - x
    edge = sum((a - b).abs().mean() for a, b in zip(edges(out), edges(x), strict=True))
    chroma = (error - error.mean(1, keepdim=True)).abs().mean()
    return error.abs().mean() + error.square().mean() + EDGE_WEIGHT * edge + CHROMA_WEIGHT * chroma


def main() -> None:
    """Train, then write the averaged autoencoder to RUN/vae."""
    parser = argparse.ArgumentParser()
    parser.add_argument("scenes", type=Path)
    parser.add_argument("run", type=Path)
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--channels", type=int, default=16)
    parser.add_argument("--rate", type=float, default=1.5e-3)
    parser.add_argument("--polish", type=Path, help="a finished run whose decoder to train on")
    given = arguments(parser, pictures=120_000, batch=2)
    torch.manual_seed(0)
    pictures = Store.open(given.scenes).array("picture")
    vae = build(given.width, given.channels)
    if not given.polish and not (given.run / "state.pt").exists():
        start_linear(vae, to_tensor(pictures[:LINEAR_START]))
    if given.polish:
        vae = AutoencoderTiny.from_pretrained(given.polish / "vae").to(memory_format=torch.channels_last)
        vae.encoder.requires_grad_(False)
    vae = vae.to(given.device)
    held = held_out(64).to(given.device)

    def loss(x: Tensor) -> Tensor:
        x = x.to(given.device, non_blocking=True)
        with precision(given.device), torch.set_grad_enabled(not given.polish):
            z = vae.encode(x).latents.float()
        spread = z.mean((0, 2, 3)).square().mean() + (z.var((0, 2, 3)) - 1).square().mean()
        with precision(given.device):
            out = vae.decode(z + LATENT_NOISE * torch.randn_like(z)).sample.float()
        run.note({"error_of_255": 127.5 * float((out.detach() - x).abs().mean())})
        return reconstruction(out, x) + LATENT_WEIGHT * spread

    @torch.no_grad()
    def preview() -> dict[str, float]:
        out = torch.cat([vae.decode(vae.encode(x).latents).sample.clamp(-1, 1) for x in held.split(8)])
        sheet = torch.cat([held[:8], out[:8], held[8:16], out[8:16]])
        rows = [torch.cat(list(row), 2) for row in sheet.split(8)]
        pixels = ((torch.cat(rows, 1) + 1) * 127.5).round().byte().permute(1, 2, 0).cpu().numpy()
        Image.fromarray(pixels).save(given.run / "preview.png")
        return {"held_out_error_of_255": round(127.5 * float((out - held).abs().mean()), 3)}

    run = Run(
        given.run,
        {"vae": vae},
        given.pictures,
        given.batch,
        given.rate * given.rate_factor,
        loss,
        decay=0.998,
        pause_after=given.pause_after,
        preview=preview,
        preview_minutes=6,
    )
    given.run.mkdir(parents=True, exist_ok=True)
    # Another seed after every pause: crops need not repeat, and no state is kept for them.
    run.batches = crops(pictures, given.batch, seed=int(np.random.SeedSequence().generate_state(1)[0]))
    run.train()
    if not run.finished:
        return
    averaged(given.run, {"vae": vae})
    vae.register_to_config(scaling_factor=1.0)
    vae.save_pretrained(given.run / "vae")


if __name__ == "__main__":
    main()
