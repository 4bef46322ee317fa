"""Does the model obey drawings made by hand? python recipes/embedded/hand_test.py OUT.json [--sheet SHEET.png].

Every drawing of tests/embedded/drawings becomes pictures by the shipped base and sketch adapter, asked for the things
that it shows; the annotator says what is in each picture. A drawn thing is found in place when what has its class there
overlaps its outline by at least half (intersection over union).
"""

from __future__ import annotations

import argparse
import json
from collections import Counter, defaultdict
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image

import armature
from armature.conditions.networks.annotator import load_network
from armature.toyworld.palette import CLASS_INDEX, CLASSES
from armature.toyworld.words import NOUNS, NUMBERS

FOLDER = Path(__file__).parents[2] / "tests" / "embedded" / "drawings"
SIDE = 128
IN_PLACE = 0.5


def prompt(names: list[str]) -> str:
    """ "a house and two trees"."""
    words = []
    for name, count in Counter(names).items():
        singular, plural = NOUNS[name][0]
        article = "an" if singular[0] in "aeiou" else "a"
        words.append(f"{article} {singular}" if count == 1 else f"{NUMBERS[count][0]} {plural}")
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1]


def overlaps(things: list[dict], classes: np.ndarray) -> list[float]:
    """IoU of each drawn thing with what the annotator calls so; of several of a class, each owns what is nearest."""
    outlines = [
        cv2.fillPoly(np.zeros((SIDE, SIDE), np.uint8), [np.rint(np.array(t["polygon"]) * SIDE).astype(np.int32)], 1)
        for t in things
    ]
    distances = np.stack([cv2.distanceTransform(1 - outline, cv2.DIST_L2, 5) for outline in outlines])
    found = []
    for index, thing in enumerate(things):
        same = [k for k, other in enumerate(things) if other["name"] == thing["name"]]
        nearest = np.array(same)[distances[same].argmin(0)] == index
        seen = (classes == CLASS_INDEX[thing["name"]]) & nearest
        drawn = outlines[index] > 0
        found.append(float((seen & drawn).sum() / max(1, (seen | drawn).sum())))
    return found


def main() -> None:
    """Write the figures, in all and by medium, and print them."""
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("--sheet", type=Path, help="a picture of all drawings with what became of them")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    network = load_network()
    pipe = armature.embedded_pipeline()
    pipe.set_progress_bar_config(disable=True)
    # The shipped annotator says how much of toyworld the shipped model can know.
    known = CLASSES[: network.classes]
    scores: dict[str, list[float]] = defaultdict(list)
    rows = []
    for name, entry in json.loads((FOLDER / "drawings.json").read_text()).items():
        things = entry["objects"]
        row = [np.asarray(Image.open(FOLDER / f"{name}.png").convert("RGB").resize((SIDE, SIDE)))]
        for seed in range(arguments.seeds):
            made = armature.generate(
                prompt([thing["name"] for thing in things]),
                [("sketch", FOLDER / f"{name}.png")],
                base=pipe,
                adapters={"sketch": "embedded:sketch"},
                seed=seed,
                num_inference_steps=arguments.steps,
            )
            picture = np.asarray(made.images[0])
            row.append(picture)
            for thing, overlap in zip(
                things, overlaps(things, network.annotate(picture[None])[0].classes), strict=True
            ):
                if thing["name"] in known:
                    crowd = "three_and_more" if len(things) > 2 else "one_or_two"
                    for group in ("all", entry["medium"], crowd):
                        scores[group].append(overlap)
        rows.append(np.concatenate(row, 1))
    figures = {
        group: {
            "things": len(values),
            "found_in_place": round(float(np.mean(np.array(values) >= IN_PLACE)), 3),
            "mean_iou": round(float(np.mean(values)), 3),
        }
        for group, values in scores.items()
    }
    arguments.out.write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps(figures, indent=2))
    if arguments.sheet:
        rows += [np.full_like(rows[0], 255)] * (-len(rows) % 4)
        Image.fromarray(np.concatenate([np.concatenate(rows[k : k + 4], 1) for k in range(0, len(rows), 4)])).save(
            arguments.sheet
        )


if __name__ == "__main__":
    main()
