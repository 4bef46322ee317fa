"""Adapters of other sizes and other timestep draws beside the usual one, at equal steps on equal data.

    python benchmarks/adapter_variants.py FOLDER                     # all of them, one after another
    python benchmarks/adapter_variants.py FOLDER --only light        # one; several processes may share FOLDER
    python benchmarks/adapter_variants.py FOLDER --table             # the record and the page, from what is there

Each is trained from nothing on the embedded base and toyworld, by recipes/embedded/sketch.toml with what VARIANTS says,
and is then asked for held-out scenes as `armature evaluate` does it. An interrupted one goes on. Writes
benchmarks/results/adapter_variants.json and docs/adapter_variants.md.
"""

import argparse
import json
import os
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image

import armature
from armature.evaluation.evaluate import evaluate
from armature.training.logging.curves import draw_curves
from armature.training.recipe.load import load_recipe
from armature.training.recipe.model import Recipe

ROOT = Path(__file__).parents[1]
RESULT = ROOT / "benchmarks" / "results" / "adapter_variants.json"
PAGE = ROOT / "docs" / "adapter_variants.md"
PICTURE = ROOT / "docs" / "images" / "adapter_variants.png"
SIZE = 128


@dataclass(frozen=True)
class Variant:
    """One training: what differs from the sketch recipe, and the seed of everything random."""

    title: str
    overrides: tuple[str, ...] = ()
    seed: int = 0


TINY = ("adapter.network=light", "adapter.divisor=8")
UNIFORM = ("train.timesteps=uniform",)
VARIANTS = {
    "full": Variant("full, cubic"),
    "full-1": Variant("full, cubic", seed=1),
    "uniform": Variant("full, uniform", UNIFORM),
    "uniform-1": Variant("full, uniform", UNIFORM, seed=1),
    "light": Variant("light, width / 4", ("adapter.network=light",)),
    "tiny": Variant("light, width / 8", TINY),
}


def recipe_of(name: str, folder: Path, steps: int, scenes: int) -> Recipe:
    """The shipped sketch recipe, on clean maps, with the variant's differences."""
    variant = VARIANTS[name]
    every = max(1, steps // 4)
    return load_recipe(
        ROOT / "recipes" / "embedded" / "sketch.toml",
        [
            f"run={folder / name}",
            f"cache.folder={folder / 'cache'}",
            f"train.length={steps} steps",
            f"train.seed={variant.seed}",
            f"data.count={scenes}",
            f"checkpoint.every={every} steps",
            f"eval.every={every} steps",
            "eval.preview_every=never",
            "data.hand_drawn=0",
            *variant.overrides,
        ],
    )


def add_pass_times(folder: Path, records: dict[str, dict[str, Any]]) -> None:
    """Time one pass of each adapter over one map on one thread, as it happens once a picture, all of them in turn."""
    control = torch.zeros(1, 1, SIZE, SIZE)
    adapters = {name: armature.load_adapter(folder / name / "adapter").float() for name in records}
    seconds: dict[str, list[float]] = {name: [] for name in records}
    with torch.no_grad():
        for name, adapter in [*adapters.items()] * 40:
            start = time.perf_counter()
            adapter(control)
            seconds[name].append(time.perf_counter() - start)
    for name, record in records.items():
        record["pass_ms"] = round(1000 * statistics.median(seconds[name]), 2)


def measured(name: str, folder: Path, steps: int, scenes: int, count: int) -> dict[str, Any]:
    """Train the variant, or finish it, and measure it."""
    recipe = recipe_of(name, folder, steps, scenes)
    run = folder / name
    if not (run / "adapter" / "config.json").is_file():
        armature.train(recipe, resume=(run / "checkpoints").is_dir())
    report = evaluate(run / "adapter", data=recipe.data, count=count, batch=8)
    adapter = armature.load_adapter(run / "adapter")
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    figures = report.to_dict()
    assert report.gap_closed is not None
    assert report.objects is not None
    return {
        "variant": VARIANTS[name].title,
        "seed": VARIANTS[name].seed,
        "steps": steps,
        "minutes": lines[-1]["minutes"],
        "parameters": sum(p.numel() for p in adapter.parameters()),
        "measure": report.measure["name"],
        "fidelity": figures["fidelity"],
        "gap_closed": figures["gap_closed"],
        "objects": figures["objects"],
        "curve": [
            [line["step"], line["minutes"], line["fidelity/closed"]] for line in lines if "fidelity/closed" in line
        ],
        "held_out": next(
            {key.removeprefix("held_out/"): line[key] for key in line if key.startswith("held_out/")}
            for line in reversed(lines)
            if "held_out/loss" in line
        ),
        "settings": figures["settings"],
        "machine": figures["machine"],
    }


def row(record: dict[str, Any]) -> str:
    """One line of the page's table."""
    closed, objects = record["gap_closed"], record["objects"]
    curve = ", ".join(f"{share:.2f}" for _, _, share in record["curve"])
    return (
        f"| {record['variant']} | {record['seed']} | {record['parameters'] / 1e6:.2f} "
        f"| {record['parameters'] * 2 / 1e6:.1f} | {record['pass_ms']:.1f} | {record['minutes']:.1f} "
        f"| {record['fidelity']['with']['mean']:.3f} | {closed['mean']:.3f} ± {closed['error']:.3f} | {curve} "
        f"| {objects['with']['object_recall']['mean']:.3f} | {objects['with']['colours_right']['mean']:.3f} |"
    )


def page(records: list[dict[str, Any]]) -> str:
    """The figures as a page."""
    first = records[0]
    return "\n".join(
        [
            "# Adapters of other sizes, and other timestep draws",
            "",
            "Written by `benchmarks/adapter_variants.py` from its record. All were trained from nothing by",
            f"`recipes/embedded/sketch.toml`, {first['steps']} steps of 16 scenes, on clean maps, on one CPU core",
            f"each, and then asked for {first['settings']['count']} held-out scenes at guidance",
            f"{first['settings']['guidance']}. Closed is the share of the distance from no adapter to the",
            "ceiling (the true picture through the autoencoder), ± its standard error over the scenes; the curve",
            "gives it for 32 scenes at the start and after each quarter. A pass is one run of the adapter",
            "alone on one thread.",
            "",
            "| adapter | seed | parameters, M | half precision, MB | a pass, ms | training, min | with | closed "
            "| curve | object recall | colours right |",
            "|---|---|---|---|---|---|---|---|---|---|---|",
            *(row(record) for record in records),
            "",
            "Closed over minutes of training, seed 0:",
            "",
            "![Share of the distance closed over minutes](images/adapter_variants.png)",
            "",
        ]
    )


def picture(records: list[dict[str, Any]]) -> Image.Image:
    """What each sketch adapter had closed after so many minutes."""
    shown = [record for record in records if record["seed"] == 0]
    curves = {r["variant"]: [(minutes, share) for _, minutes, share in r["curve"]] for r in shown}
    return draw_curves("Share of the distance closed, 32 held-out scenes", curves, across="minutes")


def main() -> None:
    """Train, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", choices=VARIANTS, action="append")
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--scenes", type=int, default=5000, help="to train on")
    parser.add_argument("--count", type=int, default=200, help="of held-out scenes that are drawn and measured")
    parser.add_argument("--table", action="store_true", help="only write what is there")
    options = parser.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    names = [] if options.table else options.only or list(VARIANTS)
    for name in names:
        target = options.folder / f"{name}.json"
        if not target.is_file():
            record = measured(name, options.folder, options.steps, options.scenes, options.count)
            target.write_text(json.dumps(record, indent=2) + "\n")
    found = {name: options.folder / f"{name}.json" for name in VARIANTS}
    measured_so_far = {name: json.loads(path.read_text()) for name, path in found.items() if path.is_file()}
    if not measured_so_far:
        raise SystemExit(f"nothing has been measured in {options.folder} yet")
    add_pass_times(options.folder, measured_so_far)
    records = list(measured_so_far.values())
    RESULT.write_text(json.dumps(records, indent=2) + "\n")
    PAGE.write_text(page(records))
    picture(records).save(PICTURE)


if __name__ == "__main__":
    main()
