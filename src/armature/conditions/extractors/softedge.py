"""Soft edges without a network: how strongly each place is an edge."""

from __future__ import annotations

from typing import TYPE_CHECKING

from armature.conditions.extractor import Extractor, Option
from armature.conditions.kinds import contract_for
from armature.conditions.picture.edges import contour_strength, lab, picture_scale, to_map

if TYPE_CHECKING:
    from PIL import Image


def softedge(picture: Image.Image, gain: float, smoothing: float) -> Image.Image:
    """Edge strength as brightness on black, mode "L"; the strongest edges of the picture are white."""
    import cv2
    import numpy as np

    strength = contour_strength(lab(picture, smoothing), picture_scale(picture)).strength
    # Against a floor, so that the grain of an empty wall stays dark.
    strong = max(float(np.percentile(strength, 98.5)), 0.03)
    soft = 1.0 - np.exp(-1.5 * gain * np.maximum(strength / strong - 0.04, 0.0))
    soft = cv2.GaussianBlur(soft.astype(np.float32), (0, 0), max(0.5, 0.8 * picture_scale(picture)))
    return to_map(np.clip(soft, 0.0, 1.0))


EXTRACTOR = Extractor(
    name="softedge",
    kind="softedge",
    summary="edge strength as brightness, without a network",
    run=softedge,
    contract=contract_for("softedge"),
    options=(
        Option("gain", 1.0, "brightness of weak edges", 0.1, 10),
        Option("smoothing", 1.0, "how much texture is flattened first", 0, 3),
    ),
)
