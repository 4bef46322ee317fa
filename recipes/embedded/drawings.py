"""Turn the hand-drawn SVG lines beside the weights into PNG drawings: python recipes/embedded/drawings.py.

Black strokes on white paper, as people draw; only polylines, so OpenCV is enough to render them.
"""

from __future__ import annotations

import re
from pathlib import Path

import cv2
import numpy as np

from armature.embedded.paths import DRAWINGS

SCALE = 3


def render(svg: Path) -> np.ndarray:
    """The drawing as (384, 384) uint8, black on white."""
    text = svg.read_text()
    width = float(re.search(r'stroke-width="([\d.]+)"', text)[1])
    paper = np.full((128 * SCALE, 128 * SCALE), 255, np.uint8)
    for points in re.findall(r'points="([^"]+)"', text):
        line = np.array([[float(n) for n in pair.split(",")] for pair in points.split()])
        fixed = np.round(line * SCALE * 16).astype(np.int32)
        cv2.polylines(paper, [fixed], False, 0, round(width * SCALE), cv2.LINE_AA, 4)
    return paper


def main() -> None:
    """Render every SVG of the folder."""
    for svg in sorted(Path(DRAWINGS).glob("*.svg")):
        cv2.imwrite(str(svg.with_suffix(".png")), render(svg))


if __name__ == "__main__":
    main()
