"""Draw the sheets that the documentation shows: python recipes/embedded/sheets.py docs/images."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from diffusers import StableDiffusionPipeline
from evaluate import GUIDANCE, STEPS, draw
from PIL import Image
from store import HELD_OUT

import armature
from armature.embedded.paths import embedded_adapter_kinds
from armature.toyworld import Scene, scene

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
    """Write toyworld.png, base.png, sketch.png and controls.png to the folder."""
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
    rows = [
        [three(s.sketch) for s in held],
        list(controlled(pipe, held, "sketch")),
        list(draw(pipe, held, GUIDANCE)),
        [s.picture for s in held],
    ]
    grid(rows).save(arguments.out / "sketch.png")
    # Scenes with people, so that poses have something to say.
    people = [s for s in (scene(HELD_OUT + 600 + i) for i in range(200)) if s.joints][:8]
    rows = []
    for kind in embedded_adapter_kinds():
        rows += [[three(s.condition(kind)) for s in people], list(controlled(pipe, people, kind))]
    grid([*rows, [s.picture for s in people]]).save(arguments.out / "controls.png")


def three(picture: np.ndarray) -> np.ndarray:
    """Grey maps as RGB."""
    return np.repeat(picture[..., None], 3, 2) if picture.ndim == 2 else picture


def controlled(pipe: StableDiffusionPipeline, scenes: list[Scene], kind: str) -> np.ndarray:
    """`draw` under the embedded adapter of a kind, with the scenes' own maps."""
    pictures = []
    adapter = armature.load_adapter(f"embedded:{kind}", dtype=torch.float32)
    for one in scenes:
        control = armature.Control(adapter, Image.fromarray(one.condition(kind)))
        with armature.attach(pipe, control):
            pictures.append(draw(pipe, [one], GUIDANCE)[0])
    return np.stack(pictures)


if __name__ == "__main__":
    main()
