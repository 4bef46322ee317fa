"""Depth of toyworld-like pictures by the annotator that ships with Armature."""

from __future__ import annotations

from typing import TYPE_CHECKING

from armature.conditions.extractor import Extractor
from armature.conditions.kinds import contract_for
from armature.conditions.networks.annotate import annotate

if TYPE_CHECKING:
    from PIL import Image


def embedded_depth(picture: Image.Image) -> Image.Image:
    """Depth, near is bright, mode "L"."""
    return annotate(picture).depth


EXTRACTOR = Extractor(
    name="embedded:depth",
    kind="depth",
    summary="depth of toyworld-like pictures, offline",
    run=embedded_depth,
    contract=contract_for("depth", source="embedded:depth"),
)
