"""What an attached adapter costs: armature.attach against diffusers' adapter pipelines, in one run.

    python benchmarks/attach_overhead.py                                  # SD 1.5 in real size, random weights
    python benchmarks/attach_overhead.py --family sdxl --device cuda --dtype float16 --steps 20 --size 1024
    python benchmarks/attach_overhead.py --device cuda --dtype float16 --compile
    python benchmarks/attach_overhead.py --tiny                           # seconds, to see that it works

Times are of whole pipeline calls without text encoder and VAE, which would only make the shares look smaller. Each run
writes benchmarks/results/attach_overhead-*.json; docs/attach_overhead.md is made from all of them (not from --tiny).
"""

import argparse
import contextlib
import json
import os
import platform
import statistics
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import diffusers
import torch
from overhead_parts import build_models, drawing, text, timed

import armature
from armature.adapters.save import save_adapter

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
PAGE = ROOT / "docs" / "attach_overhead.md"
MIB = 2**20


@contextlib.contextmanager
def nothing() -> Iterator[None]:
    """No adapter."""
    yield


@torch.no_grad()
def run(options: argparse.Namespace) -> dict[str, Any]:
    """All measurements of one setting."""
    device, dtype = torch.device(options.device), getattr(torch, options.dtype)
    parts, adapter = build_models(options.family, options.tiny)
    kind = diffusers.StableDiffusionXLPipeline if options.family == "sdxl" else diffusers.StableDiffusionPipeline
    other = (
        diffusers.StableDiffusionXLAdapterPipeline
        if options.family == "sdxl"
        else diffusers.StableDiffusionAdapterPipeline
    )
    adapter = adapter.to(device, dtype)
    with tempfile.TemporaryDirectory() as folder:
        theirs = diffusers.T2IAdapter.from_pretrained(save_adapter(adapter, Path(folder) / "adapter"))
    parts["unet"] = parts["unet"].to(device, dtype)
    if options.compile:
        parts["unet"] = torch.compile(parts["unet"], fullgraph=True, backend=options.backend)
    control = drawing(options.size)
    shared: dict[str, Any] = {
        **text(parts["unet"], options.family, torch.zeros(1, device=device, dtype=dtype)),
        "num_inference_steps": options.steps,
        "guidance_scale": 7.5,
        "height": options.size,
        "width": options.size,
        "output_type": "latent",
    }
    ours = kind(**parts).to(device)
    reference = other(**parts, adapter=theirs.to(device, dtype)).to(device)
    for pipeline in (ours, reference):
        pipeline.set_progress_bar_config(disable=True)
    modes: dict[str, tuple[Callable[[], AbstractContextManager[Any]], Callable[[], Any]]] = {
        "plain": (nothing, lambda: ours(**shared)),
        "armature": (lambda: armature.attach(ours, armature.Control(adapter, control)), lambda: ours(**shared)),
        "diffusers": (nothing, lambda: reference(**shared, image=control)),
    }
    measured: dict[str, list[tuple[float, int]]] = {name: [] for name in modes}
    graphs = _measure(modes, measured, options, device)
    pixels = torch.zeros(1, 1, options.size, options.size, device=device, dtype=dtype)
    adapter(pixels)
    passes = [timed(lambda: adapter(pixels), device)[0] for _ in range(options.rounds)]
    return summary(options, measured, passes, graphs)


def _measure(modes: Any, measured: Any, options: argparse.Namespace, device: torch.device) -> int | None:
    """Fill in the measurements; compiled, also count the graphs made after the first call with controls."""
    graphs = None
    # Turn by turn, so that a machine that slows down slows all of them; compiled, each in one go, since attaching
    # compiles anew.
    turns, inner = (1, options.rounds) if options.compile else (options.rounds, 1)
    for turn in range(turns):
        for name, (context, call) in modes.items():
            with context():
                if turn == 0:
                    call()
                before = _graphs()
                for _ in range(inner):
                    measured[name].append(timed(call, device))
                    print(f"{name}: {measured[name][-1][0]:.3f} s, {measured[name][-1][1] / MIB:.0f} MiB", flush=True)
                if name == "armature" and options.compile:
                    graphs = _graphs() - before
    return graphs


def _graphs() -> int:
    from torch._dynamo.utils import counters

    return counters["stats"]["unique_graphs"]


def summary(options: argparse.Namespace, measured: Any, passes: list[float], graphs: int | None) -> dict[str, Any]:
    """The record that is written: settings, machine, all samples, and the shares drawn from their medians."""
    medians = {name: statistics.median(seconds for seconds, _ in samples) for name, samples in measured.items()}
    # Medians as well: on a CPU the peak is of resident memory, which wanders by tens of MiB from call to call.
    peaks = {name: statistics.median(peak for _, peak in samples) for name, samples in measured.items()}
    once = statistics.median(passes)
    device = torch.cuda.get_device_name() if options.device == "cuda" else f"{os.cpu_count()} x {platform.machine()}"
    return {
        "settings": {name: value for name, value in vars(options).items() if name != "out"},
        "commit": subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
        ).stdout.strip(),
        "versions": {"armature": armature.__version__, "torch": torch.__version__, "diffusers": diffusers.__version__},
        "machine": {"device": device, "threads": torch.get_num_threads(), "python": platform.python_version()},
        "samples": {name: [{"seconds": s, "peak_bytes": p} for s, p in found] for name, found in measured.items()},
        "seconds": medians,
        "peak_bytes": peaks,
        "adapter_pass_seconds": once,
        # The aim: at most 1 % of the picture beyond one adapter pass.
        "armature_share": (medians["armature"] - once) / medians["plain"] - 1,
        "diffusers_share": (medians["diffusers"] - once) / medians["plain"] - 1,
        "graphs_after_the_first_call": graphs,
    }


def page() -> str:
    """The documentation page, from every record in benchmarks/results."""
    lines = [
        "# What an attached adapter costs",
        "",
        "Written by `benchmarks/attach_overhead.py` from its records in `benchmarks/results/`. Whole pipeline calls",
        "with guidance and random weights, without text encoder and VAE; medians. The share is what a call costs more",
        "than the plain one, beyond one pass of the adapter.",
        "",
        "| base | machine | steps | plain | adapter pass | armature | share | diffusers | share | memory above plain |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for path in sorted(RESULTS.glob("attach_overhead-*.json")):
        record = json.loads(path.read_text(encoding="utf-8"))
        used, seconds, peaks = record["settings"], record["seconds"], record["peak_bytes"]
        more = {name: (peaks[name] - peaks["plain"]) / MIB for name in ("armature", "diffusers")}
        base = f"{used['family']} {used['size']} px {used['dtype']}{' compiled' if used['compile'] else ''}"
        lines.append(
            f"| {base} | {record['machine']['device']} | {used['steps']} | {seconds['plain']:.3f} s "
            f"| {record['adapter_pass_seconds']:.3f} s | {seconds['armature']:.3f} s | {record['armature_share']:+.2%} "
            f"| {seconds['diffusers']:.3f} s | {record['diffusers_share']:+.2%} "
            f"| armature {more['armature']:+.0f} MiB, diffusers {more['diffusers']:+.0f} MiB |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure one setting, write its record, and make the page anew."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--family", choices=("sd", "sdxl"), default="sd")
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--dtype", choices=("float32", "bfloat16", "float16"), default="float32")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--backend", default="inductor", help="torch.compile's backend")
    parser.add_argument("--tiny", action="store_true", help="small models at 64 px; writes only to --out")
    parser.add_argument("--out", type=Path, default=None, help="where the record goes")
    options = parser.parse_args()
    if options.tiny:
        options.size = 64
    record = run(options)
    words = [
        "attach_overhead",
        options.family,
        options.device,
        options.dtype,
        *(["compiled"] if options.compile else []),
    ]
    out = options.out or (None if options.tiny else RESULTS / f"{'-'.join(words)}.json")
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    if not options.tiny:
        PAGE.write_text(page(), encoding="utf-8")
    print(json.dumps({name: record[name] for name in record if name not in ("samples", "settings")}, indent=2))


if __name__ == "__main__":
    main()
