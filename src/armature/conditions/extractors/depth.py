"""Depth of a picture by Depth Anything, DPT (MiDaS) or ZoeDepth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from armature.conditions.extractor import Extractor, Option, Weights
from armature.conditions.kinds import contract_for
from armature.conditions.networks.loading import DEVICE, PRECISION, load_model, pixel_values

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

WEIGHTS = Weights(
    "depth-anything/Depth-Anything-V2-Small-hf",
    99,
    "https://huggingface.co/depth-anything/Depth-Anything-V2-Small-hf",
    "Apache-2.0",
)
# ZoeDepth's maps as its adapters saw them: metres between these percentiles, turned round.
_ZOE_NEAR, _ZOE_FAR = 2, 85


def depth(picture: Image.Image, model: str, device: str, precision: str) -> Image.Image:
    """Depth over the map's whole range, near is bright, mode "L"."""
    import torch
    from torch.nn import functional as F

    from armature.conditions.picture.edges import to_map

    network, processor = load_model("depth", model, device, precision, weights=WEIGHTS, offline=EXTRACTOR.offline)
    with torch.inference_mode():
        found = network(pixel_values=pixel_values(processor, picture, network)).predicted_depth
    size = (picture.height, picture.width)
    # Bilinear: bicubic would ring at the edges of things, and the range below is taken from the extremes.
    found = F.interpolate(found[:, None].float(), size, mode="bilinear", align_corners=False)
    return to_map(brightness(found[0, 0].cpu().numpy(), network.config))


def brightness(found: np.ndarray, config: Any) -> np.ndarray:
    """Network output (H, W) as brightness in 0..1, near is bright; what metric models give is turned round first.

    A picture of one distance is mid grey, because black would mean "no control".
    """
    import numpy as np

    if config.model_type == "zoedepth":
        near, far = np.percentile(found, (_ZOE_NEAR, _ZOE_FAR))
        found = -np.clip(found, near, far)
    elif getattr(config, "depth_estimation_type", "relative") == "metric":
        found = 1.0 / np.maximum(found, 1e-3)
    low, high = float(found.min()), float(found.max())
    if high - low <= 1e-5 * max(abs(low), abs(high)):
        return np.full(found.shape, 0.5, np.float32)
    return ((found - low) / (high - low)).astype(np.float32)


EXTRACTOR = Extractor(
    name="depth",
    kind="depth",
    summary="depth by Depth Anything, DPT or ZoeDepth",
    run=depth,
    contract=contract_for("depth", in_channels=1),
    options=(Option("model", WEIGHTS.source, "hub id or folder of a depth model"), DEVICE, PRECISION),
    weights=(WEIGHTS,),
    offline="embedded:depth",
    aliases={
        "midas": {"model": "Intel/dpt-hybrid-midas"},
        "depth_midas": {"model": "Intel/dpt-hybrid-midas"},
        "dpt": {"model": "Intel/dpt-large"},
        "zoe": {"model": "Intel/zoedepth-nyu-kitti"},
        "zoedepth": {"model": "Intel/zoedepth-nyu-kitti"},
        "depth_zoe": {"model": "Intel/zoedepth-nyu-kitti"},
    },
)
