"""The picture's brightness."""

from __future__ import annotations

from typing import TYPE_CHECKING

from armature.conditions.extractor import Extractor
from armature.conditions.kinds import contract_for

if TYPE_CHECKING:
    from PIL import Image


def grey(picture: Image.Image) -> Image.Image:
    """Luma (ITU-R 601) of the picture, mode "L"."""
    return picture.convert("L")


EXTRACTOR = Extractor(name="grey", kind="grey", summary="brightness", run=grey, contract=contract_for("grey"))
