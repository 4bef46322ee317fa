"""Turn the strokes of the test set of drawings into pictures: python recipes/embedded/hand_drawings.py.

Every SVG in tests/embedded/drawings is one drawing: polylines of pen positions on a sheet of 128 x 128, grouped by the
thing they show, with the medium they are drawn in. Beside it comes a PNG as that medium looks, and drawings.json says
where in the picture each thing is.
"""

from __future__ import annotations

import json
import re
import zlib
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

FOLDER = Path(__file__).parents[2] / "tests" / "embedded" / "drawings"
SHEET = 128
SIDE = 256
# Strokes are drawn at three times the picture's size, and reduced.
FINE = 3 * SIDE // SHEET


@dataclass(frozen=True)
class Drawing:
    """medium: thin, marker, pencil or photo. pen: width of the strokes. groups: (class or "", strokes (n, 2)) each."""

    medium: str
    pen: float
    groups: tuple[tuple[str, tuple[np.ndarray, ...]], ...]


def read(svg: Path) -> Drawing:
    """The strokes of an SVG file of this set."""
    text = svg.read_text()
    groups = []
    for name, body in re.findall(r'<g(?: class="(\w+)")?>(.*?)</g>', text, re.DOTALL):
        lines = re.findall(r'points="([^"]+)"', body)
        strokes = tuple(np.array([[float(n) for n in pair.split(",")] for pair in line.split()]) for line in lines)
        groups.append((name, strokes))
    (medium,) = re.findall(r'data-medium="(\w+)"', text)
    (pen,) = re.findall(r'stroke-width="([\d.]+)"', text)
    return Drawing(medium, float(pen), tuple(groups))


def fixed(points: np.ndarray, scale: float) -> np.ndarray:
    """Points in OpenCV's sixteenths of a pixel."""
    return np.rint(points * scale * 16).astype(np.int32)


def inked(drawing: Drawing, rng: np.random.Generator) -> np.ndarray:
    """(768, 768) float, how much graphite or ink lies where, 0..1."""
    ink = np.zeros((SHEET * FINE, SHEET * FINE), np.uint8)
    for _, strokes in drawing.groups:
        for stroke in strokes:
            if drawing.medium != "pencil":
                cv2.polylines(ink, [fixed(stroke, FINE)], False, 255, round(drawing.pen * FINE), cv2.LINE_AA, 4)
                continue
            # Pressure changes along a stroke, in tone and in width.
            knots = rng.normal(size=len(stroke) // 6 + 2)
            walk = np.interp(np.arange(len(stroke)) / 6, np.arange(len(knots)), knots)
            for a, b, pressure in zip(stroke, stroke[1:], 1 + 0.28 * walk, strict=False):
                layer = np.array([a, b])
                tone = int(np.clip(150 * pressure, 60, 215))
                wide = max(2, round(drawing.pen * FINE * np.clip(pressure, 0.6, 1.4)))
                cv2.polylines(ink, [fixed(layer, FINE)], False, tone, wide, cv2.LINE_AA, 4)
    return ink / 255.0


def drawn(drawing: Drawing, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The picture, (256, 256[, 3]) uint8 RGB or grey, and the (3, 3) matrix from sheet to picture coordinates."""
    ink = inked(drawing, rng)
    plain = np.diag([SIDE / SHEET, SIDE / SHEET, 1.0])
    if drawing.medium == "photo":
        return photographed(ink, rng)
    if drawing.medium == "pencil":
        grain = cv2.GaussianBlur(rng.normal(size=ink.shape).astype(np.float32), (0, 0), 1.6)
        ink = ink * np.clip(0.85 + 2.2 * grain, 0.25, 1.0)
    paper = 255 - 245 * cv2.resize(ink, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return np.rint(paper).astype(np.uint8), plain


def photographed(ink: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A sheet as a telephone sees it: at an angle, in warm and uneven light, a little soft, with noise."""
    side = ink.shape[0]
    corners = np.array([[0, 0], [side, 0], [side, side], [0, side]], np.float32)
    seen = corners + rng.uniform(-0.07, 0.07, (4, 2)).astype(np.float32) * side
    matrix = cv2.getPerspectiveTransform(corners, seen)
    ink = cv2.warpPerspective(ink, matrix, (side, side), flags=cv2.INTER_LINEAR)
    ink = cv2.resize(cv2.GaussianBlur(ink, (0, 0), 2.0), (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    y, x = np.mgrid[0:SIDE, 0:SIDE] / SIDE - 0.5
    angle = rng.uniform(0, 2 * np.pi)
    light = 0.80 + 0.16 * (x * np.cos(angle) + y * np.sin(angle)) - 0.28 * (x * x + y * y)
    paper = np.array([250, 240, 222]) * light[..., None]
    pen = np.array([38, 40, 62])
    picture = paper * (1 - ink[..., None] * 0.9) + pen * ink[..., None] * 0.9
    picture += rng.normal(0, 2.5, (SIDE, SIDE, 1))
    scale = SIDE / side
    matrix = np.diag([scale, scale, 1.0]) @ matrix @ np.diag([FINE, FINE, 1.0])
    # Coarse steps keep the files small: this is a test set, and goes with the source.
    return np.clip(np.rint(picture / 6) * 6, 0, 255).astype(np.uint8), matrix


def outline(strokes: tuple[np.ndarray, ...], matrix: np.ndarray) -> np.ndarray:
    """The outline of a drawn thing in the picture, (n, 2) shares of its side: its strokes and what they enclose.

    Lines count as 3 units of the sheet wide and gaps of 6 as closed, so that a stick figure has a body too.
    """
    mask = np.zeros((4 * SHEET, 4 * SHEET), np.uint8)
    for stroke in strokes:
        cv2.polylines(mask, [fixed(stroke, 4)], False, 255, 12, cv2.LINE_AA, 4)
    near = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (25, 25))
    mask = cv2.morphologyEx(cv2.copyMakeBorder(mask, 32, 32, 32, 32, cv2.BORDER_CONSTANT), cv2.MORPH_CLOSE, near)
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    largest = cv2.approxPolyDP(max(contours, key=cv2.contourArea), 3.0, True)
    points = cv2.perspectiveTransform((largest - 32).astype(np.float64) / 4, matrix)[:, 0] / SIDE
    return np.clip(points, 0, 1)


def main() -> None:
    """Write the PNG of every SVG, and drawings.json."""
    told = {}
    for svg in sorted(FOLDER.glob("*.svg")):
        drawing = read(svg)
        picture, matrix = drawn(drawing, np.random.default_rng(zlib.crc32(svg.stem.encode())))
        stored = picture[..., ::-1] if picture.ndim == 3 else picture
        cv2.imwrite(str(svg.with_suffix(".png")), stored, [cv2.IMWRITE_PNG_COMPRESSION, 9])
        things = []
        for name, strokes in drawing.groups:
            if not name:
                continue
            polygon = outline(strokes, matrix)
            box = [*polygon.min(0), *polygon.max(0)]
            things.append(
                {"name": name, "box": [round(float(v), 3) for v in box], "polygon": polygon.round(3).tolist()}
            )
        told[svg.stem] = {"medium": drawing.medium, "objects": things}
    lines = [f"{json.dumps(name)}: {json.dumps(entry)}" for name, entry in told.items()]
    (FOLDER / "drawings.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
