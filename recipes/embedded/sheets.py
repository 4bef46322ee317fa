"""Draw the sheets that the documentation shows: python recipes/embedded/sheets.py docs/images."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from common import HELD_OUT
from evaluate import GUIDANCE, STEPS, draw
from PIL import Image

import armature
from armature.toyworld import scene

PROMPTS = (
    "a red house and two green trees on grass",
    "a yellow boat on the sea at sunset",
    "a white cat beside a purple balloon in the snow, cut from paper",
    "a blue car on a street at night, with dark outlines",
    "a person on a beach by day",
    "an orange rocket and a pink flower on a meadow, crayon style",
    "two brown birds on a lake under a grey sky",
    "a red mushroom and a green ball, soft pastel",
)


def grid(rows: list[list[np.ndarray]], gap: int = 4) -> Image.Image:
    """Rows of (128, 128, 3) pictures on white, twice as large."""
    height, width = len(rows) * (128 + gap) + gap, len(rows[0]) * (128 + gap) + gap
    sheet = np.full((height, width, 3), 255, np.uint8)
    for y, row in enumerate(rows):
        for x, tile in enumerate(row):
            top, left = gap + y * (128 + gap), gap + x * (128 + gap)
            sheet[top : top + 128, left : left + 128] = tile
    return Image.fromarray(sheet).resize((width * 2, height * 2), Image.Resampling.LANCZOS)


def main() -> None:
    """Write toyworld.png, base.png and sketch.png to the folder."""
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    grid([[scene(100 + 6 * y + x).picture for x in range(6)] for y in range(4)]).save(arguments.out / "toyworld.png")
    pipe = armature.embedded_pipeline()
    pipe.set_progress_bar_config(disable=True)
    rows: list[list[np.ndarray]] = []
    for seed in (1, 2):
        generators = [torch.Generator().manual_seed(seed) for _ in PROMPTS]
        images = pipe(list(PROMPTS), num_inference_steps=STEPS, guidance_scale=GUIDANCE, generator=generators).images
        rows.append([np.asarray(image) for image in images])
    grid(rows).save(arguments.out / "base.png")
    held = [scene(HELD_OUT + 500 + i) for i in range(8)]
    adapter = armature.load_adapter("embedded:sketch", dtype=torch.float32)
    lines = [np.repeat(s.sketch[..., None], 3, 2) for s in held]
    rows = [
        lines,
        list(draw(pipe, held, adapter, "sketch")),
        list(draw(pipe, held, None, "sketch")),
        [s.picture for s in held],
    ]
    grid(rows).save(arguments.out / "sketch.png")


if __name__ == "__main__":
    main()
