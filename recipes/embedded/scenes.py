"""Draw the training scenes once and keep them on disk: python recipes/embedded/scenes.py FOLDER [--count N]."""

from __future__ import annotations

import argparse
import json
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from common import MAPS

from armature.toyworld import scene


def chunk(job: tuple[str, int, int, int]) -> tuple[list[str], dict[int, list]]:
    """Draw scenes start..stop into the memory-mapped files; returns their captions and joints."""
    folder, count, start, stop = job
    arrays = {
        name: np.memmap(
            Path(folder) / f"{name}.u8", np.uint8, "r+", shape=(count, 128, 128, 3) if bands == 3 else (count, 128, 128)
        )
        for name, bands in MAPS.items()
    }
    captions, joints = [], {}
    for seed in range(start, stop):
        drawn = scene(seed)
        for name, array in arrays.items():
            array[seed] = getattr(drawn, name)
        captions.append(drawn.caption)
        if drawn.joints:
            joints[seed] = [np.round(j, 2).tolist() for j in drawn.joints]
    return captions, joints


def main() -> None:
    """Fill FOLDER with the scenes of seeds 0..N-1; an existing store is drawn anew."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=48_000)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for name, bands in MAPS.items():
        with open(arguments.folder / f"{name}.u8", "wb") as file:
            file.truncate(arguments.count * 128 * 128 * bands)
    size = 1000
    jobs = [
        (str(arguments.folder), arguments.count, start, min(start + size, arguments.count))
        for start in range(0, arguments.count, size)
    ]
    captions: list[str] = []
    joints: dict[int, list] = {}
    with ProcessPoolExecutor(2) as pool:
        for texts, people in pool.map(chunk, jobs):
            captions += texts
            joints |= people
    (arguments.folder / "joints.json").write_text(json.dumps(joints))
    (arguments.folder / "captions.json").write_text(json.dumps(captions))
    print(f"{len(captions)} scenes in {arguments.folder}")


if __name__ == "__main__":
    main()
