"""Train the embedded annotator: python recipes/embedded/annotator.py SCENES RUN [--autoencoder DIR] [--minutes M].

Toyworld's exact maps are the teacher. Pictures are roughened (blur, noise, light, tint, the autoencoder's own
blemishes when one is given), because what it will be asked about is generated pictures.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderTiny
from run import Run, arguments, averaged, precision
from safetensors.torch import save_file
from store import HELD_OUT, Store
from torch import Tensor

from armature.conditions.networks.annotator import JOINTS, Annotator
from armature.toyworld import scene


def heat_targets(people: list[list[list[float]]], side: int = 64) -> Tensor:
    """(18, side, side): a bump of 1.2 cells around each joint, for joints given in pixels of twice that side."""
    grid = torch.arange(side).float() * 2 + 1
    heat = torch.zeros(JOINTS, side, side)
    for joints in people:
        place = torch.tensor(joints)
        dx = (grid - place[:, :1]) / 2
        dy = (grid - place[:, 1:]) / 2
        heat = torch.maximum(heat, torch.exp(-(dy[:, :, None] ** 2 + dx[:, None, :] ** 2) / (2 * 1.2**2)))
    return heat


def roughen(x: Tensor, vae: AutoencoderTiny | None) -> Tensor:
    """Random blemishes on pictures (n, 3, h, w) in 0..1."""
    n = len(x)

    def uniform(count: int) -> Tensor:
        return torch.rand(count, 1, 1, 1, device=x.device)

    def normal(channels: int) -> Tensor:
        return torch.randn(n, channels, 1, 1, device=x.device)

    if vae is not None:
        share = n // 3
        with torch.no_grad():
            z = vae.encode(x[:share] * 2 - 1).latents
            z = z + torch.randn_like(z) * 0.2 * uniform(share)
            x = torch.cat([vae.decode(z).sample / 2 + 0.5, x[share:]])
    blurred = F.avg_pool2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), 3, 1)
    x = torch.lerp(x, blurred, uniform(n) * (uniform(n) < 0.6))
    x = x * (1 + 0.15 * normal(1)) * (1 + 0.05 * normal(3)) + 0.05 * normal(1)
    return (x + 0.05 * uniform(n) * torch.randn_like(x)).clamp(0, 1)


def main() -> None:
    """Write RUN/annotator.safetensors in half precision and print its figures on held-out scenes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("scenes", type=Path)
    parser.add_argument("run", type=Path)
    parser.add_argument("--autoencoder", type=Path)
    given = arguments(parser, pictures=200_000, batch=24)
    device = given.device
    torch.manual_seed(0)
    store = Store.open(given.scenes)
    pictures, classes, colours, depth = (store.array(n) for n in ("picture", "classes", "colours", "depth"))
    joints = store.joints
    vae = None
    if given.autoencoder:
        vae = AutoencoderTiny.from_pretrained(given.autoencoder / "vae").eval().to(device)
    annotator = Annotator().to(device, memory_format=torch.channels_last)
    rng = np.random.default_rng()

    def batches() -> Iterator[tuple[Tensor, ...]]:
        while True:
            pick = np.sort(rng.integers(store.count, size=given.batch))
            x = torch.from_numpy(pictures[pick]).to(device).permute(0, 3, 1, 2).float() / 255
            heat = torch.stack([heat_targets(joints.get(int(i), [])) for i in pick]).to(device)
            maps = [torch.from_numpy(array[pick]).to(device) for array in (classes, colours, depth)]
            yield roughen(x, vae), maps[0].long(), maps[1].long(), maps[2].float() / 255, heat

    def loss(data: tuple[Tensor, ...]) -> Tensor:
        x, seg, tint, near, heat = data
        with precision(device):
            raw = annotator(x.to(memory_format=torch.channels_last))
        bumps = F.binary_cross_entropy_with_logits(raw.heat.float(), heat, reduction="none") * (1 + 20 * heat)
        return (
            F.cross_entropy(raw.classes.float(), seg)
            + F.cross_entropy(raw.colours.float(), tint)
            + 2 * (raw.depth.float() - near).abs().mean()
            # Bumps cover a thousandth of the maps, in the fifth of the scenes that have people.
            + 30 * bumps.mean()
        )

    held = [scene(HELD_OUT + i) for i in range(100)]

    def preview() -> dict[str, float]:
        annotator.eval()
        found = annotator.annotate(np.stack([s.picture for s in held]))
        annotator.train()
        hits, errors, close = [], [], []
        for truth, said in zip(held, found, strict=True):
            errors.append(float(((said.depth - truth.depth / 255.0) ** 2).mean() ** 0.5))
            for number in np.unique(truth.classes):
                a, b = truth.classes == number, said.classes == number
                hits.append(float((a & b).sum() / (a | b).sum()))
            if len(truth.joints) == 1 and len(said.people) == 1:
                close.append((np.hypot(*(truth.joints[0] - said.people[0].joints).T) < 0.05 * 128).mean())
        figures = {
            "iou_per_scene_class": np.mean(hits),
            "depth_rmse": np.mean(errors),
            "joints": np.mean(close or [0.0]),
        }
        return {name: round(float(value), 4) for name, value in figures.items()}

    run = Run(
        given.run,
        {"annotator": annotator},
        given.pictures,
        given.batch,
        2e-3 * given.rate_factor,
        loss,
        batches(),
        pause_after=given.pause_after,
        preview=preview,
        preview_minutes=4,
    )
    run.train()
    if not run.finished:
        return
    averaged(given.run, {"annotator": annotator.cpu()})
    state = {k: v.half().contiguous() if v.is_floating_point() else v for k, v in annotator.state_dict().items()}
    # The file says how many classes and colours it knows, so that it still opens when toyworld has grown.
    known = {"classes": str(annotator.classes), "colours": str(annotator.colours)}
    told = {"trained_on": "toyworld", "recipe": "recipes/embedded", **known}
    save_file(state, given.run / "annotator.safetensors", told)


if __name__ == "__main__":
    main()
