"""A training step of ours from the cache against the same step done as diffusers' SDXL adapter script does it.

    python benchmarks/train_step.py                          # a small SDXL-shaped model, CPU
    python benchmarks/train_step.py --base sd15 --size 512 --device cuda --dtype bfloat16 --batch 4
    python benchmarks/train_step.py --base sdxl --size 1024 --device cuda --dtype bfloat16 --batch 4

The peer's step, rebuilt from what that script does: every picture goes through a float32 autoencoder, and the base is
never frozen, so gradients of all its weights are computed, kept and never cleared; text states come from memory. The
script itself fails in bfloat16 at its first step, and float16 does not train on a CPU: what its users have on a CPU is
float32 (--peer-dtype). Ours is the trainer's own step on what the cache gives. Each side runs in a process of its own,
so that peaks of memory do not mix; weights are random. Writes benchmarks/results/train_step-*.json and
docs/train_step.md from all of them.
"""

import argparse
import itertools
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import diffusers
import torch
from armature.training.trainer.timesteps import cubic_timesteps
from overhead_parts import SD_UNET, XL_UNET, timed
from torch import nn

import armature
from armature.adapters.networks.full import FullSpec
from armature.adapters.networks.full_xl import FullXLSpec
from armature.adapters.registry import build_adapter
from armature.bases.schedule import alphas_of, noised
from armature.bases.text import TextStates
from armature.data.encoding.batch import EncodedBatch
from armature.injection.hooks import injected
from armature.training.recipe.model import TrainSettings
from armature.training.trainer.distributed import Processes
from armature.training.trainer.step import Learner, freeze, mean_squared_error

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
PAGE = ROOT / "docs" / "train_step.md"
MIB = 2**20
VAE_BLOCKS = {"down_block_types": ("DownEncoderBlock2D",) * 4, "up_block_types": ("UpDecoderBlock2D",) * 4}
# SDXL and its autoencoder with every width cut to a fifth, or to a quarter where groups of 32 ask for it.
SMALL_XL = {
    **XL_UNET,
    "block_out_channels": (64, 128, 256),
    "attention_head_dim": (2, 4, 8),
    "cross_attention_dim": 256,
    "transformer_layers_per_block": (1, 2, 4),
    "projection_class_embeddings_input_dim": 6 * 256 + 256,
}
BASES: dict[str, tuple[dict[str, Any], tuple[int, ...], tuple[int, ...]]] = {
    "small-xl": (SMALL_XL, (64, 128, 256, 256), (32, 64, 128, 128)),
    "sd15": (SD_UNET, (320, 640, 1280, 1280), (128, 256, 512, 512)),
    "sdxl": (XL_UNET, (320, 640, 1280, 1280), (128, 256, 512, 512)),
}


class Workbench:
    """The models and the data of one side, with random values."""

    def __init__(self, options: argparse.Namespace) -> None:
        torch.manual_seed(0)
        unet_config, widths, vae_widths = BASES[options.base]
        dtype = options.dtype if options.side == "armature" else options.peer_dtype or options.dtype
        self.device, self.dtype = torch.device(options.device), getattr(torch, dtype)
        self.xl = options.base != "sd15"
        self.unet = diffusers.UNet2DConditionModel(**unet_config).to(self.device, self.dtype)
        spec = FullXLSpec(1, widths) if self.xl else FullSpec(1, widths)
        self.adapter = build_adapter(spec).to(self.device).train()
        self.vae_config = {"block_out_channels": vae_widths, "layers_per_block": 2, "latent_channels": 4, **VAE_BLOCKS}
        self.alphas = alphas_of(diffusers.DDPMScheduler(beta_schedule="scaled_linear")).to(self.device)
        count, side = options.batch, options.size
        width: Any = unet_config["cross_attention_dim"]
        self.text = torch.randn(count, 77, width, device=self.device, dtype=self.dtype)
        self.control = torch.rand(count, 1, side, side, device=self.device)
        self.latents = torch.randn(count, 4, side // 8, side // 8, device=self.device, dtype=self.dtype)
        self.added = None
        if self.xl:
            pooled = unet_config["projection_class_embeddings_input_dim"] - 6 * 256
            ids = torch.tensor([side, side, 0, 0, side, side]).expand(count, 6)
            self.added = {
                "text_embeds": torch.randn(count, pooled).to(self.device, self.dtype),
                "time_ids": ids.to(self.device, self.dtype),
            }


def ours(bench: Workbench) -> Any:
    """A step of the trainer's own Learner, with its draws, from what a cache holds."""
    freeze(bench.unet)
    for module in (bench.unet, bench.adapter):
        # As `fit` lays them out.
        module.to(memory_format=torch.channels_last)
    injection = injected(bench.unet)
    injection.__enter__()
    pooled, ids = (None, None) if bench.added is None else bench.added.values()
    text = TextStates(bench.text, pooled)
    encoded = EncodedBatch(
        keys=[str(number) for number in range(len(bench.latents))],
        positions=torch.arange(len(bench.latents)),
        mean=bench.latents.float(),
        std=torch.full_like(bench.latents, 0.1).float(),
        text=text,
        control=bench.control,
        time_ids=ids,
    )
    empty = TextStates(text.states[:1], None if pooled is None else pooled[:1])
    settings = TrainSettings(batch=len(bench.latents), learning_rate=1e-5)
    place = Processes(device=bench.device)
    learner = Learner(settings, bench.unet, injection, bench.adapter, bench.alphas, "epsilon", empty, place)
    return lambda: learner.step(1, itertools.repeat(encoded), 1e-5)


def peer(bench: Workbench, size: int) -> Any:
    """The same step with an unfrozen base and a float32 autoencoder in the loop."""
    optimizer = torch.optim.AdamW(bench.adapter.parameters(), lr=1e-5)
    vae = diffusers.AutoencoderKL(**bench.vae_config).to(bench.device).eval().requires_grad_(False)
    pixels = torch.rand(len(bench.latents), 3, size, size, device=bench.device) * 2 - 1
    rows = [row.cpu() for row in bench.text]
    # The script lets gradient checkpointing be; the U-Net's own argument takes the features.
    extra = {} if bench.added is None else {"added_cond_kwargs": bench.added}

    def step() -> None:
        with torch.no_grad():
            z = (vae.encode(pixels).latent_dist.sample() * vae.config["scaling_factor"]).to(bench.dtype)
        text = torch.stack(rows).to(bench.device)
        t = cubic_timesteps(len(z)).to(bench.device)
        noise = torch.randn_like(z)
        at = bench.alphas[t].to(z.dtype)
        with torch.autocast(bench.device.type, bench.dtype, enabled=bench.dtype != torch.float32):
            features = [f.to(bench.dtype) for f in bench.adapter(bench.control).maps]
            out = bench.unet(
                noised(z, noise, at), t, text, down_intrablock_additional_residuals=features, return_dict=False, **extra
            )[0]
            loss = mean_squared_error(out, noise)
        loss.backward()
        nn.utils.clip_grad_norm_(bench.adapter.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Steps of one side: seconds each, and the most memory this process ever held."""
    bench = Workbench(options)
    step = ours(bench) if options.side == "armature" else peer(bench, options.size)
    step()
    seconds = [timed(step, bench.device)[0] for _ in range(options.steps)]
    if bench.device.type == "cuda":
        peak = torch.cuda.max_memory_allocated()
    else:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"seconds": seconds, "images_per_second": options.batch / statistics.median(seconds), "peak_bytes": peak}


def compare(options: argparse.Namespace) -> dict[str, Any]:
    """Both sides in turn, each in a process of its own, and their ratios."""
    found: dict[str, list[dict[str, Any]]] = {"armature": [], "peer": []}
    for _ in range(options.rounds):
        for side, results in found.items():
            command = [sys.executable, __file__, *sys.argv[1:], "--side", side]
            run = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            results.append(json.loads(run.stdout.splitlines()[-1]))
            print(f"{side}: {results[-1]['images_per_second']:.3f} images/s, {results[-1]['peak_bytes'] / MIB:.0f} MiB")
    speed = {side: statistics.median(r["images_per_second"] for r in results) for side, results in found.items()}
    memory = {side: max(r["peak_bytes"] for r in results) for side, results in found.items()}
    device = torch.cuda.get_device_name() if options.device == "cuda" else f"{os.cpu_count()} x {platform.machine()}"
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    return {
        "settings": {k: v for k, v in vars(options).items() if k not in ("side", "out")},
        "commit": commit.stdout.strip(),
        "versions": {"armature": armature.__version__, "torch": torch.__version__, "diffusers": diffusers.__version__},
        "machine": {"device": device, "load_average": round(os.getloadavg()[0], 2)},
        "samples": found,
        "images_per_second": speed,
        "peak_bytes": memory,
        "speed_ratio": speed["armature"] / speed["peer"],
        "memory_ratio": memory["armature"] / memory["peer"],
    }


def page() -> str:
    """The documentation page, from every record."""
    lines = [
        "# A training step, ours and the peer's",
        "",
        "Written by `benchmarks/train_step.py` from its records. Random weights; latents and text states from the",
        "cache on our side; on the peer's, as in diffusers' SDXL adapter script, a float32 autoencoder in every step",
        "and a base that is not frozen. Memory is the whole process's on a CPU, the allocator's on a GPU. In bfloat16",
        "the peer's step is one that was repaired for the comparison: the script fails there at its first step, so",
        "that on a CPU float32 is what it offers.",
        "",
        "| base | precision, ours / peer | machine | batch | ours, images/s | peer, images/s | ratio | ours, MiB "
        "| peer, MiB | ratio |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for path in sorted(RESULTS.glob("train_step-*.json")):
        r = json.loads(path.read_text(encoding="utf-8"))
        used, speed, memory = r["settings"], r["images_per_second"], r["peak_bytes"]
        lines.append(
            f"| {used['base']} {used['size']} px | {used['dtype']} / {used.get('peer_dtype') or used['dtype']} "
            f"| {r['machine']['device']} | {used['batch']} "
            f"| {speed['armature']:.3f} | {speed['peer']:.3f} | {r['speed_ratio']:.2f} "
            f"| {memory['armature'] / MIB:.0f} | {memory['peer'] / MIB:.0f} | {r['memory_ratio']:.2f} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Compare, write the record, and make the page anew."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", choices=tuple(BASES), default="small-xl")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--peer-dtype", choices=("float32", "bfloat16"), help="where it differs: see above")
    parser.add_argument("--side", choices=("armature", "peer"), help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    if options.side:
        print(json.dumps(measure(options)))
        return
    record = compare(options)
    against = f"-against-{options.peer_dtype}" if options.peer_dtype else ""
    name = f"train_step-{options.base}-{options.size}-{options.device}-{options.dtype}{against}.json"
    out = options.out or RESULTS / name
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    if not options.out:
        PAGE.write_text(page(), encoding="utf-8")
    print(json.dumps({k: record[k] for k in ("images_per_second", "peak_bytes", "speed_ratio", "memory_ratio")}))


if __name__ == "__main__":
    main()
