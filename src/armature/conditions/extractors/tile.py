"""The picture itself, with its detail taken out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from armature.conditions.extractor import Extractor, Option
from armature.conditions.kinds import contract_for

if TYPE_CHECKING:
    from PIL import Image


def tile(picture: Image.Image, factor: float) -> Image.Image:
    """The picture shrunk by `factor` and enlarged again, mode "RGB"; 1 leaves it as it is."""
    import cv2
    import numpy as np
    from PIL import Image

    tones = np.asarray(picture.convert("RGB"))
    height, width = tones.shape[:2]
    small = (max(1, round(width / factor)), max(1, round(height / factor)))
    few = cv2.resize(tones, small, interpolation=cv2.INTER_AREA)
    return Image.fromarray(cv2.resize(few, (width, height), interpolation=cv2.INTER_CUBIC))


EXTRACTOR = Extractor(
    name="tile",
    kind="tile",
    summary="the picture without its detail",
    run=tile,
    contract=contract_for("tile"),
    options=(Option("factor", 8.0, "how much smaller the picture is made in between", 1, 64),),
)
