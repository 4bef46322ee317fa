"""How well the embedded extractors read toyworld: against the exact maps of held-out scenes.

    python benchmarks/embedded_extractors.py [--count 500]

Through `armature.extract`, as a user would: depth, seg and poses of scenes that nothing was trained on. Writes
JSON, and docs/embedded_extractors.md from it.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

import armature
from armature.conditions.networks.annotate import annotate
from armature.toyworld import Scene, scene
from armature.toyworld.palette import CLASSES, SEG_TABLE

# Training draws its seeds from below.
HELD_OUT = 10_000_000
NEAR = 0.05


def depth_error(truth: Scene) -> float:
    """Mean squared error of the extracted depth, 0..1."""
    seen = np.asarray(armature.extract("embedded:depth", truth.image), np.float64)
    return float(((seen - truth.depth) ** 2).mean() / 255**2)


def class_pairs(truth: Scene) -> np.ndarray:
    """(true class, extracted class) counts, (classes, classes); the extracted map must keep to the palette."""
    seen = np.asarray(armature.extract("embedded:seg", truth.image), np.int64)
    matches = (seen[:, :, None] == SEG_TABLE[None, None]).all(-1)
    if not matches.any(-1).all():
        raise SystemExit(f"scene {truth.seed}: a colour outside the palette")
    pairs = truth.classes.astype(np.int64) * len(CLASSES) + matches.argmax(-1)
    return np.bincount(pairs.ravel(), minlength=len(CLASSES) ** 2).reshape(len(CLASSES), -1)


def joints_near(truth: Scene) -> tuple[int, int, int]:
    """Joints within 5 % of the size, true joints, and people too many; a person that was not found has none right."""
    found = [np.array([(np.nan, np.nan) if j is None else j for j in pose]) for pose in people_of(truth)]
    near = 0
    for person in truth.joints:
        distances = [np.hypot(*(person - other).T) for other in found]
        if distances:
            near += max(int((d < NEAR * truth.plan.size).sum()) for d in distances)
    return near, sum(len(person) for person in truth.joints), max(0, len(found) - len(truth.joints))


def people_of(truth: Scene) -> list[list[tuple[float, float] | None]]:
    """The extracted poses as 18 points each, None for a joint that was not seen."""
    return [[None if j is None else (j[0], j[1]) for j in pose.joints] for pose in annotate(truth.image).people]


def main() -> None:
    parser = argparse.ArgumentParser(description="Accuracy of the embedded extractors.")
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/embedded_extractors.json"))
    parser.add_argument("--docs", type=Path, default=Path("docs/embedded_extractors.md"))
    arguments = parser.parse_args()
    scenes = [scene(HELD_OUT + i) for i in range(arguments.count)]
    counts = sum(class_pairs(s) for s in scenes)
    union = counts.sum(0) + counts.sum(1) - np.diag(counts)
    present = union > 0
    ious = np.diag(counts)[present] / union[present]
    near, joints, extra = np.sum([joints_near(s) for s in scenes], axis=0)
    result = {
        "scenes": arguments.count,
        "depth_rmse": round(float(np.sqrt(np.mean([depth_error(s) for s in scenes]))), 4),
        "seg_miou": round(float(ious.mean()), 4),
        "iou": {name: round(float(v), 3) for name, v in zip(np.array(CLASSES)[present], ious, strict=True)},
        "joints_within_5_percent": round(float(near / joints), 4),
        "people": joints // 18 if (joints := int(joints)) else 0,
        "people_too_many": int(extra),
        "armature": armature.__version__,
    }
    arguments.out.write_text(json.dumps(result, indent=2) + "\n")
    arguments.docs.write_text(page(result))
    print(json.dumps(result, indent=2))


def page(result: dict) -> str:
    """The figures as a page."""
    rows = "\n".join(f"| {name} | {value:.3f} |" for name, value in result["iou"].items())
    return (
        "# The embedded extractors against exact maps\n\n"
        f"`embedded:depth`, `embedded:seg` and `embedded:openpose` on {result['scenes']} scenes of toyworld that "
        "nothing was trained on; written by `benchmarks/embedded_extractors.py`.\n\n"
        "| measure | figure |\n|---|---|\n"
        f"| depth, RMSE on 0..1 | {result['depth_rmse']:.4f} |\n"
        f"| segmentation, mean IoU over classes | {result['seg_miou']:.4f} |\n"
        f"| joints within 5 % of the size, {result['people']} people | {result['joints_within_5_percent']:.4f} |\n"
        f"| people seen beyond those that are there | {result['people_too_many']} |\n\n"
        f"| class | IoU |\n|---|---|\n{rows}\n"
    )


if __name__ == "__main__":
    main()
