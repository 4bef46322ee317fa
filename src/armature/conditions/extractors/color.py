"""The colour palette map: blocks of the picture's own colours."""

from __future__ import annotations

from typing import TYPE_CHECKING

from armature.conditions.extractor import Extractor, Option
from armature.conditions.kinds import contract_for

if TYPE_CHECKING:
    from PIL import Image


def color(picture: Image.Image, block: int, patches: int | None) -> Image.Image:
    """The picture in blocks of `block` pixels, or in `patches` by `patches` blocks, mode "RGB".

    Bicubic down, nearest up, as the authors made their training maps.
    """
    import cv2
    import numpy as np
    from PIL import Image

    tones = np.asarray(picture.convert("RGB"))
    height, width = tones.shape[:2]
    size = (patches, patches) if patches is not None else (max(1, width // block), max(1, height // block))
    few = cv2.resize(tones, size, interpolation=cv2.INTER_CUBIC)
    return Image.fromarray(cv2.resize(few, (width, height), interpolation=cv2.INTER_NEAREST))


EXTRACTOR = Extractor(
    name="color",
    kind="color",
    summary="palette map in blocks",
    run=color,
    contract=contract_for("color"),
    options=(
        Option("block", 64, "block size in pixels; the published adapters use 64 at 512", 2, 512, number=int),
        Option("patches", None, "blocks a side, whatever the size; auto: by block", 1, 256, optional=True, number=int),
    ),
    # The patches of toyworld's palette map, at any size.
    aliases={"embedded:color": {"patches": 8}},
)
