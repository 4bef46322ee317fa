"""Segmentation of toyworld-like pictures by the annotator that ships with Armature."""

from __future__ import annotations

from typing import TYPE_CHECKING

from armature.conditions.extractor import Extractor
from armature.conditions.kinds import contract_for
from armature.conditions.networks.annotate import annotate

if TYPE_CHECKING:
    from PIL import Image


def embedded_seg(picture: Image.Image) -> Image.Image:
    """Classes in toyworld's palette, mode "RGB"."""
    return annotate(picture).seg


EXTRACTOR = Extractor(
    name="embedded:seg",
    kind="seg",
    summary="segmentation of toyworld-like pictures, offline",
    run=embedded_seg,
    contract=contract_for("seg", source="embedded:seg"),
)
