"""Contact sheets: rows of tiles under the words that say what each column is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from armature.evaluation.maps import coloured

GAP, HEAD = 6, 20
_INK, _PAPER = (30, 30, 30), (255, 255, 255)


def contact_sheet(
    titles: Sequence[str], rows: Sequence[Sequence[np.ndarray]], *, least: int = 128, most: int = 512
) -> Image.Image:
    """Tiles in a grid on white, with a title over every column; mode "RGB".

    titles: one for each column. rows: of maps and pictures, (h, w) or (h, w, 3) uint8. The cell is the largest tile,
    enlarged by whole numbers up to a side of `least` pixels and shrunk where it is beyond `most`; tiles keep their
    proportions. Size of the sheet: GAP + columns x (cell + GAP), HEAD + GAP + rows x (cell + GAP).
    """
    tiles = [[coloured(tile) for tile in row] for row in rows]
    width, height = _cell([tile.shape[1::-1] for row in tiles for tile in row], least, most)
    sheet = Image.new("RGB", sheet_size(len(titles), len(tiles), (width, height)), _PAPER)
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    for column, title in enumerate(titles):
        pen.text((GAP + column * (width + GAP), GAP), title, _INK, font)
    for y, row in enumerate(tiles):
        for x, tile in enumerate(row):
            factor = min(width / tile.shape[1], height / tile.shape[0])
            size = (max(1, round(tile.shape[1] * factor)), max(1, round(tile.shape[0] * factor)))
            # Maps have sharp edges that enlarging must not blur.
            how = Image.Resampling.NEAREST if factor >= 1 else Image.Resampling.LANCZOS
            corner = (GAP + x * (width + GAP), HEAD + GAP + y * (height + GAP))
            sheet.paste(Image.fromarray(tile).resize(size, how), corner)
    return sheet


def sheet_size(columns: int, rows: int, cell: tuple[int, int]) -> tuple[int, int]:
    """(width, height) in pixels of a sheet of so many cells."""
    return GAP + columns * (cell[0] + GAP), HEAD + GAP + rows * (cell[1] + GAP)


def _cell(sizes: Sequence[tuple[int, int]], least: int, most: int) -> tuple[int, int]:
    width, height = max((w for w, _ in sizes), default=least), max((h for _, h in sizes), default=least)
    longer = max(width, height)
    factor = most / longer if longer > most else max(1, least // longer)
    return max(1, round(width * factor)), max(1, round(height * factor))
