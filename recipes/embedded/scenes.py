"""Draw the training scenes once and keep them on disk: python recipes/embedded/scenes.py FOLDER [--count N]."""

from __future__ import annotations

import argparse
import json
import os
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from store import MAPS, SIDE

from armature.files import replacing
from armature.toyworld import scene

CHUNK = 500


def chunk(job: tuple[str, int, int, int]) -> tuple[list[str], dict[int, list]]:
    """Draw scenes start..stop into the memory-mapped files; returns their captions and joints."""
    folder, count, start, stop = job
    arrays = {
        name: np.memmap(
            Path(folder) / f"{name}.u8",
            np.uint8,
            "r+",
            shape=(count, SIDE, SIDE, 3) if bands == 3 else (count, SIDE, SIDE),
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
    """Fill FOLDER with the scenes of seeds 0..N-1; an existing store is drawn anew. captions.json is written last."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=96_000)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    (arguments.folder / "captions.json").unlink(missing_ok=True)
    for name, bands in MAPS.items():
        with open(arguments.folder / f"{name}.u8", "wb") as file:
            file.truncate(arguments.count * SIDE * SIDE * bands)
    jobs = [
        (str(arguments.folder), arguments.count, start, min(start + CHUNK, arguments.count))
        for start in range(0, arguments.count, CHUNK)
    ]
    captions: list[str] = []
    joints: dict[int, list] = {}
    with ProcessPoolExecutor(arguments.workers) as pool:
        for texts, people in pool.map(chunk, jobs):
            captions += texts
            joints |= people
    for name, content in (("joints", joints), ("captions", captions)):
        with replacing(arguments.folder / f"{name}.json") as temporary:
            temporary.write_text(json.dumps(content))
    print(f"{len(captions)} scenes in {arguments.folder}")


if __name__ == "__main__":
    main()
