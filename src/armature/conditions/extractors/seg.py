"""Segmentation of a picture by a semantic segmenter, painted in the palette that the adapter knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from armature.conditions.extractor import Extractor, Option, Weights
from armature.conditions.kinds import contract_for
from armature.conditions.networks.loading import DEVICE, PRECISION, load_model, pixel_values
from armature.conditions.palettes import PALETTES, class_map, paint
from armature.errors import ConditionError

if TYPE_CHECKING:
    from PIL import Image

WEIGHTS = Weights(
    "openmmlab/upernet-convnext-small", 328, "https://huggingface.co/openmmlab/upernet-convnext-small", "MIT"
)


def seg(picture: Image.Image, model: str, palette: str, device: str, precision: str) -> Image.Image:
    """One palette colour per class, mode "RGB".

    Classes of another data set than the palette's are matched by name; those without equivalent stay black.
    Raises ConditionError when fewer than half of the model's classes have an equivalent.
    """
    import numpy as np
    import torch
    from torch.nn import functional as F

    network, processor = load_model("seg", model, device, precision, weights=WEIGHTS, offline=EXTRACTOR.offline)
    targets, lost = class_map({int(key): name for key, name in network.config.id2label.items()}, palette)
    if len(lost) * 2 > len(targets):
        raise ConditionError(
            f"{len(lost)} of the {len(targets)} classes of {model!r} (such as {', '.join(map(repr, lost[:3]))}) have "
            f"no equivalent in the {palette} palette; choose a model trained on {palette}, or another palette."
        )
    with torch.inference_mode():
        logits = network(pixel_values=pixel_values(processor, picture, network)).logits.float()
        size = (picture.height, picture.width)
        classes = F.interpolate(logits, size, mode="bilinear", align_corners=False)[0].argmax(dim=0).cpu().numpy()
    return paint(np.array(targets)[classes], palette)


EXTRACTOR = Extractor(
    name="seg",
    kind="seg",
    summary="segmentation in an adapter's palette",
    run=seg,
    contract=contract_for("seg"),
    options=(
        Option("model", WEIGHTS.source, "hub id or folder of a semantic segmenter"),
        Option("palette", "coco-stuff", "colours that the target adapter was trained on", choices=PALETTES),
        DEVICE,
        PRECISION,
    ),
    weights=(WEIGHTS,),
    offline="embedded:seg",
    aliases={"ade20k": {"palette": "ade20k"}, "coco_stuff": {"palette": "coco-stuff"}},
)
