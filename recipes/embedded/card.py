"""Write the embedded model's card from what was measured: python recipes/embedded/card.py RUN.

RUN holds the state files of the runs, figures.json and reports/, as build.sh makes them; nothing here is typed by hand.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from install import EFFORT

import armature
from armature.embedded.paths import WEIGHTS, embedded_adapter_kinds
from armature.toyworld.palette import COLOUR_NAMES, GROUNDS, OBJECTS, STYLES, TIMES

MACHINE = "2 CPU cores, shared between runs"


def trainings() -> list[str]:
    """The table of what was trained for how long; the adapters carry theirs with them."""
    lines = ["| trained | steps | minutes | machine |", "|---|---|---|---|"]
    for name, cost in json.loads(EFFORT.read_text()).items():
        lines.append(f"| {name} | {cost['steps']} | {cost['minutes']:.0f} | {MACHINE} |")
    for kind in embedded_adapter_kinds():
        training: Any = armature.load_adapter(f"embedded:{kind}").card.metadata["training"]
        lines.append(f"| {kind} | {training['steps']} | {training['minutes']:.0f} | {MACHINE} |")
    return lines


def sizes() -> list[str]:
    """The table of file sizes."""
    parts = [*sorted((WEIGHTS / "base").iterdir()), *sorted((WEIGHTS / "adapters").iterdir())]
    found = {p.name: sum(f.stat().st_size for f in p.rglob("*.safetensors")) / 1e6 for p in parts if p.is_dir()}
    found["annotator"] = (WEIGHTS / "annotator.safetensors").stat().st_size / 1e6
    total = sum(f.stat().st_size for f in WEIGHTS.rglob("*") if f.is_file()) / 1e6
    rows = [f"| {name} | {size:.1f} |" for name, size in found.items() if size]
    return ["| part | MB |", "|---|---|", *rows, f"| everything in this folder | {total:.1f} |"]


def adapters(run: Path) -> list[str]:
    """The table of what the adapters do, from the reports of `armature evaluate`."""
    lines = [
        "| adapter | measure | without | with | ceiling | gap closed | object recall without, with | colours |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for kind in embedded_adapter_kinds():
        path = run / "reports" / kind / "report.json"
        if not path.is_file():
            lines.append(f"| {kind} | not measured | | | | | | |")
            continue
        report = json.loads(path.read_text())
        mean = {name: figure["mean"] for name, figure in report["fidelity"].items()}
        objects, closed = report["objects"], report["gap_closed"]
        pairs = [
            ", ".join(f"{objects[name][key]['mean']:.3f}" for name in ("without", "with"))
            for key in ("object_recall", "colours_right")
        ]
        lines.append(
            f"| {kind} | {report['measure']['name']}, {report['measure']['better']} is better "
            f"| {mean['without']:.3f} | {mean['with']:.3f} | {mean['ceiling']:.3f} "
            f"| {'no gap' if closed is None else format(closed['mean'], '.2f')} | {pairs[0]} | {pairs[1]} |"
        )
    return lines


def main() -> None:
    """Write README.md beside the weights."""
    parser = argparse.ArgumentParser()
    parser.add_argument("run", type=Path)
    arguments = parser.parse_args()
    figures = json.loads((arguments.run / "figures.json").read_text())
    annotator = figures["annotator_on_true_scenes"]
    rows = (
        ("true scenes", "prompt_alignment_of_true_scenes"),
        ("ceiling", "prompt_alignment_of_ceiling"),
        ("text alone", "prompt_alignment_without"),
    )
    alignment = [
        f"| {title} | {figures[key]['object_recall']} | {figures[key]['colours_right']} |" for title, key in rows
    ]
    lines = [
        "# The embedded model",
        "",
        "A StableDiffusionPipeline of 128 x 128 pixels, its adapters and an annotator, trained on toyworld by",
        f"`make embedded` (recipes/embedded/build.sh). It knows {len(OBJECTS)} things, {len(COLOUR_NAMES)} colours,",
        f"{len(GROUNDS)} grounds, {len(TIMES)} times of day and {len(STYLES)} drawing styles, and nothing else. Half",
        "precision; Apache-2.0, like the world it knows.",
        "",
        *trainings(),
        "",
        *sizes(),
        "",
        f"On {figures['scenes']} held-out scenes, {figures['steps']} steps, guidance {figures['guidance']}. Objects",
        "and colours are judged by the annotator; the ceiling is the true picture through the autoencoder.",
        "",
        "| | object recall | colours right |",
        "|---|---|---|",
        *alignment,
        "",
        *adapters(arguments.run),
        "",
        f"The annotator on true scenes: seg mIoU {annotator['seg_miou']}, depth RMSE {annotator['depth_rmse']},",
        f"joints within 5 % of the size {annotator['joints_within_5_percent']}. The autoencoder's mean error:",
        f"{figures['autoencoder_mae_0_to_255']} of 255.",
        "",
    ]
    (WEIGHTS / "README.md").write_text("\n".join(lines))


if __name__ == "__main__":
    main()
