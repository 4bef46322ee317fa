"""The test set of drawings by hand is whole: what drawings.json says lies where the pictures have their lines."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from armature.toyworld.palette import OBJECTS

FOLDER = Path(__file__).parent / "drawings"
TOLD = json.loads((FOLDER / "drawings.json").read_text())


def test_every_drawing_has_its_strokes_its_picture_and_its_entry():
    assert len(TOLD) >= 24
    for suffix in ("svg", "png"):
        assert {path.stem for path in FOLDER.glob(f"*.{suffix}")} == set(TOLD)
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 600_000


def test_all_media_many_classes_and_crowded_sheets_are_there():
    media = [entry["medium"] for entry in TOLD.values()]
    assert set(media) == {"thin", "marker", "pencil", "photo"}
    assert min(media.count(medium) for medium in set(media)) >= 5
    assert {thing["name"] for entry in TOLD.values() for thing in entry["objects"]} == set(OBJECTS)
    assert sum(len(entry["objects"]) >= 3 for entry in TOLD.values()) >= 6


@pytest.mark.parametrize("name", TOLD)
def test_outlines_hold_lines_and_boxes_hold_outlines(name):
    grey = np.asarray(Image.open(FOLDER / f"{name}.png").convert("L"), np.float32)
    # Darker than the paper around: photographs are shaded.
    lines = grey < 0.8 * cv2.blur(grey, (61, 61))
    for thing in TOLD[name]["objects"]:
        polygon = np.array(thing["polygon"])
        assert np.allclose([*polygon.min(0), *polygon.max(0)], thing["box"], atol=2e-3)
        mask = cv2.fillPoly(np.zeros(grey.shape, np.uint8), [np.rint(polygon * 256).astype(np.int32)], 1)
        rim = cv2.dilate(mask, np.ones((3, 3), np.uint8)) - cv2.erode(mask, np.ones((11, 11), np.uint8))
        # Strokes run along the outline, and hardly any ink of the box lies beyond it.
        assert lines[rim > 0].mean() > 0.1
        x0, y0, x1, y1 = (round(256 * value) for value in thing["box"])
        box = lines[y0:y1, x0:x1]
        inside = cv2.dilate(mask, np.ones((5, 5), np.uint8))[y0:y1, x0:x1] > 0
        assert (box & ~inside).sum() < 0.25 * box.sum()
