"""A contact sheet: pictures by all extractors that need no weights.

    python examples/condition_sheet.py --out sheet.png [PICTURE ...]

Every PICTURE is a row; toyworld scenes fill up to six.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from PIL import Image, ImageDraw

from armature.conditions.extract import extract
from armature.conditions.picture.fit import fit_picture
from armature.conditions.picture.reading import read_picture
from armature.toyworld.scene import scene

KINDS = ("canny", "sketch", "lineart", "softedge", "color", "tile", "grey")
SIZE, CELL, GAP, HEAD = 512, 224, 6, 22
# A street, people, animals: chosen for the variety of things in them.
SEEDS = (3, 6, 11, 14, 20, 25)


def main() -> None:
    """Read the arguments, write the sheet, print its path."""
    parser = argparse.ArgumentParser(description="Contact sheet of condition maps.")
    parser.add_argument("pictures", nargs="*", type=Path)
    parser.add_argument("--out", type=Path, default=Path("conditions.png"))
    parser.add_argument("--rows", type=int, default=6)
    arguments = parser.parse_args()
    pictures = [fit_picture(read_picture(path), (SIZE, SIZE), "resize") for path in arguments.pictures]
    pictures += [scene(seed, SIZE).image for seed in SEEDS[: max(0, arguments.rows - len(pictures))]]
    sheet(pictures).save(arguments.out, optimize=True)
    print(arguments.out)


def sheet(pictures: list[Image.Image]) -> Image.Image:
    """One row a picture: the picture, then its maps, under their names."""
    titles = ("picture", *KINDS)
    step = CELL + GAP
    canvas = Image.new("RGB", (len(titles) * step + GAP, len(pictures) * step + GAP + HEAD), (250, 250, 248))
    pen = ImageDraw.Draw(canvas)
    for column, title in enumerate(titles):
        pen.text((GAP + column * step, 4), title, fill=(40, 40, 40), font_size=14)
    for row, picture in enumerate(pictures):
        maps = [picture, *(extract(kind, picture) for kind in KINDS)]
        for column, one in enumerate(maps):
            cell = one.convert("RGB").resize((CELL, CELL), Image.Resampling.BOX if column else Image.Resampling.LANCZOS)
            canvas.paste(cell, (GAP + column * step, HEAD + row * step))
    return canvas


if __name__ == "__main__":
    main()
