"""A hand-made drawing becomes pictures: python examples/demo.py [SHEET.png].

Draws one contact sheet: the drawing, three seeds that follow it, and the same three seeds without it.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from PIL import Image

import armature
from armature.embedded.paths import DRAWINGS

PROMPT = "a red house and a green tree on grass on a sunny day"
SEEDS = 3
GAP = 8


def sheet(drawing: Image.Image, rows: list[list[Image.Image]], side: int = 256) -> Image.Image:
    """The drawing on the left of each row of pictures, every tile side x side pixels."""
    width = (SEEDS + 1) * (side + GAP) + GAP
    paper = Image.new("RGB", (width, len(rows) * (side + GAP) + GAP), "white")
    for y, row in enumerate(rows):
        tiles = [drawing.convert("RGB") if y == 0 else Image.new("RGB", (side, side), "white"), *row]
        for x, tile in enumerate(tiles):
            paper.paste(
                tile.resize((side, side), Image.Resampling.LANCZOS), (GAP + x * (side + GAP), GAP + y * (side + GAP))
            )
    return paper


def main() -> None:
    """Draw the sheet and say where it lies."""
    out = Path(sys.argv[1] if len(sys.argv) > 1 else "out/demo.png")
    drawing = DRAWINGS / "house.png"
    loading = time.monotonic()
    pipe = armature.embedded_pipeline()
    sketch = armature.load_adapter("embedded:sketch", dtype=pipe.unet.dtype)
    start = time.monotonic()
    rows = []
    for controls in ([armature.Control(sketch, drawing)], []):
        made = [armature.generate(PROMPT, controls, base=pipe, seed=seed) for seed in range(SEEDS)]
        rows.append([generation.images[0] for generation in made])
        for note in dict.fromkeys(note for generation in made for note in generation.notes):
            print(f"note: {note}")
    spent = time.monotonic() - start
    out.parent.mkdir(parents=True, exist_ok=True)
    sheet(Image.open(drawing), rows).save(out)
    print(f"prompt: {PROMPT}")
    print(f"top: the drawing and {SEEDS} seeds that follow it; below: the same seeds without it")
    print(f"{spent / (2 * SEEDS):.2f} s a picture after {start - loading:.1f} s of loading")
    print(f"wrote {out.resolve()}")


if __name__ == "__main__":
    main()
