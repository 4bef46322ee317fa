"""Write the embedded model's card from what was measured: python recipes/embedded/card.py RUN FIGURES.json.

RUN holds the runs' state files (autoencoder, text, base, annotator, adapters); nothing in the card is typed by hand.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch

from armature.embedded.load import WEIGHTS


def effort(folder: Path) -> tuple[int, float]:
    """(steps, minutes) of a run."""
    state = torch.load(folder / "state.pt", weights_only=True, mmap=True)
    return int(state["step"]), float(state["minutes"])


def main() -> None:
    """Write README.md beside the weights."""
    parser = argparse.ArgumentParser()
    parser.add_argument("run", type=Path)
    parser.add_argument("figures", type=Path)
    arguments = parser.parse_args()
    figures = json.loads(arguments.figures.read_text())
    sizes = {
        part.name: sum(f.stat().st_size for f in part.rglob("*.safetensors")) / 1e6
        for part in [*sorted((WEIGHTS / "base").iterdir()), *sorted((WEIGHTS / "adapters").iterdir())]
        if part.is_dir()
    }
    sizes["annotator"] = (WEIGHTS / "annotator.safetensors").stat().st_size / 1e6
    total = sum(f.stat().st_size for f in WEIGHTS.rglob("*") if f.is_file()) / 1e6
    lines = [
        "# The embedded model",
        "",
        "A StableDiffusionPipeline of 128 x 128 pixels, its adapters and an annotator, trained on toyworld by",
        "`make embedded` (recipes/embedded/build.sh). It knows twelve things, nine colours, five grounds, four",
        "times of day and five drawing styles, and nothing else. Half precision; Apache-2.0, like the world it knows.",
        "",
        "| run | steps | minutes | machine |",
        "|---|---|---|---|",
    ]
    for name in ("autoencoder", "text", "base", "annotator", "sketch"):
        if (arguments.run / name / "state.pt").exists():
            steps, minutes = effort(arguments.run / name)
            lines.append(f"| {name} | {steps} | {minutes:.0f} | 2 CPU cores, shared between runs |")
    lines += ["", "| part | MB |", "|---|---|"]
    lines += [f"| {name} | {size:.1f} |" for name, size in sizes.items() if size]
    lines += [f"| everything in this folder | {total:.1f} |", ""]
    lines += [
        f"Measured by recipes/embedded/evaluate.py on {figures['scenes']} held-out scenes, {figures['steps']} steps,",
        f"guidance {figures['guidance']}. Objects and colours are judged by the annotator; edge F1 has a tolerance of",
        "2 pixels; the ceiling is the true picture through the autoencoder.",
        "",
        "| | object recall | colours right | edge F1 |",
        "|---|---|---|---|",
    ]
    rows = (
        ("true scenes", "obedience_of_true_scenes", "edge_f1_true"),
        ("ceiling", "obedience_of_ceiling", "edge_f1_ceiling"),
        ("text alone", "obedience_without", "edge_f1_without"),
        ("with sketch", "obedience_with", "edge_f1_with"),
    )
    for title, key, edge in rows:
        if key in figures:
            shares = figures[key]
            lines.append(f"| {title} | {shares['object_recall']} | {shares['colours_right']} | {figures[edge]} |")
    annotator = figures["annotator_on_true_scenes"]
    lines += [
        "",
        f"The sketch adapter closes {figures.get('share_of_the_distance_closed', 'an unmeasured share')}"
        " of the distance between text alone and the ceiling.",
        f"The annotator on true scenes: seg mIoU {annotator['seg_miou']}, depth RMSE {annotator['depth_rmse']},",
        f"joints within 5 % of the size {annotator['joints_within_5_percent']}. The autoencoder's mean error:",
        f"{figures['autoencoder_mae_0_to_255']} of 255.",
        "",
    ]
    (WEIGHTS / "README.md").write_text("\n".join(lines))


if __name__ == "__main__":
    main()
