"""Contact sheets: rows of tiles under the words that say what each column, or each tile, is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from armature.evaluation.maps import coloured

GAP, HEAD = 6, 20
_LINES, _WIDEST = 3, 8192
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
            corner = (GAP + x * (width + GAP), HEAD + GAP + y * (height + GAP))
            _paste(sheet, tile, corner, (width, height))
    return sheet


def labelled_sheet(
    tiles: Sequence[tuple[str, np.ndarray]], columns: int | None = None, *, least: int = 256, most: int = 512
) -> Image.Image:
    """Pictures in rows on white, each above a label of its own; mode "RGB".

    tiles: of label and picture, (h, w) or (h, w, 3) uint8; labels are broken into up to three lines and then cut.
    columns: left out, as many as rows. least, most: as for `contact_sheet`; of many tiles, cells are shrunk until the
    sheet is at most 8192 pixels wide.
    """
    columns = columns or max(1, math.ceil(math.sqrt(len(tiles))))
    rows = math.ceil(len(tiles) / columns)
    most = max(8, min(most, _WIDEST // max(columns, rows) - GAP))
    width, height = _cell([tile.shape[1::-1] for _, tile in tiles], min(least, most), most)
    font = ImageFont.load_default(13)
    labels = [_broken(label, width, font) for label, _ in tiles]
    below = HEAD * max((len(lines) for lines in labels), default=0)
    sheet = Image.new("RGB", sheet_size(columns, rows, (width, height + below), head=0), _PAPER)
    pen = ImageDraw.Draw(sheet)
    for index, ((_, tile), lines) in enumerate(zip(tiles, labels, strict=True)):
        x, y = GAP + index % columns * (width + GAP), GAP + index // columns * (height + below + GAP)
        _paste(sheet, coloured(tile), (x, y), (width, height))
        for number, line in enumerate(lines):
            pen.text((x, y + height + 2 + number * HEAD), line, _INK, font)
    return sheet


def _broken(text: str, width: int, font: Any) -> list[str]:
    """A text in lines of at most `width` pixels; what does not go into three is cut off."""
    lines, words = [""], text.split()
    for word in words:
        longer = f"{lines[-1]} {word}".strip()
        if not lines[-1] or font.getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    cut = len(lines) > _LINES
    lines = lines[:_LINES]
    if cut:
        lines[-1] = f"{lines[-1]} ..."
    return [_shortened(line, width, font) for line in lines]


def _shortened(line: str, width: int, font: Any) -> str:
    if font.getlength(line) <= width:
        return line
    end = next((end for end in range(len(line), 0, -1) if font.getlength(f"{line[:end]}...") <= width), 0)
    return f"{line[:end]}..."


def _paste(sheet: Image.Image, tile: np.ndarray, corner: tuple[int, int], cell: tuple[int, int]) -> None:
    """A tile into its cell, its proportions kept."""
    factor = min(cell[0] / tile.shape[1], cell[1] / tile.shape[0])
    size = (max(1, round(tile.shape[1] * factor)), max(1, round(tile.shape[0] * factor)))
    # Maps have sharp edges that enlarging must not blur.
    how = Image.Resampling.NEAREST if factor >= 1 else Image.Resampling.LANCZOS
    sheet.paste(Image.fromarray(tile).resize(size, how), corner)


def sheet_size(columns: int, rows: int, cell: tuple[int, int], head: int = HEAD) -> tuple[int, int]:
    """(width, height) in pixels of a sheet of so many cells below a head."""
    return GAP + columns * (cell[0] + GAP), head + GAP + rows * (cell[1] + GAP)


def _cell(sizes: Sequence[tuple[int, int]], least: int, most: int) -> tuple[int, int]:
    width, height = max((w for w, _ in sizes), default=least), max((h for _, h in sizes), default=least)
    longer = max(width, height)
    factor = most / longer if longer > most else max(1, least // longer)
    return max(1, round(width * factor)), max(1, round(height * factor))
