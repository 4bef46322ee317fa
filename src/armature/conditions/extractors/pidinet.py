"""Sketches by PiDiNet, the network whose edges the sketch adapters were trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from armature.conditions.extractor import Extractor, Option, Weights
from armature.conditions.kinds import contract_for
from armature.conditions.networks.loading import DEVICE, load_network

if TYPE_CHECKING:
    from PIL import Image

WEIGHTS = Weights(
    "table5_pidinet.pth",
    2.9,
    "https://huggingface.co/lllyasviel/Annotators",
    "research use; its authors ask to be contacted for commercial use",
)


def pidinet(picture: Image.Image, threshold: float | None, weights: str | None, device: str) -> Image.Image:
    """White edges on black, mode "L": binary above the threshold, or soft where it is None.

    The network sees RGB in 0..1 without further normalisation, as in the adapters' training.
    """
    import numpy as np
    import torch

    from armature.conditions.networks.pidinet import PiDiNet
    from armature.conditions.picture.edges import to_map

    network = load_network(PiDiNet, weights, device, weights=WEIGHTS, offline="sketch")
    tones = np.asarray(picture.convert("RGB"), dtype=np.float32) / np.float32(255)
    where = next(network.parameters()).device
    with torch.inference_mode():
        edges = network(torch.from_numpy(tones.transpose(2, 0, 1)[None].copy()).to(where))[0, 0].cpu().numpy()
    return to_map(edges if threshold is None else (edges > threshold).astype(np.float32))


EXTRACTOR = Extractor(
    name="pidinet",
    kind="sketch",
    summary="sketch by the PiDiNet network",
    run=pidinet,
    contract=contract_for("sketch"),
    options=(
        Option("threshold", 0.5, "edges above it are lines; none keeps them soft", 0, 1, optional=True),
        Option("weights", None, "path of the .pth file; auto: Hugging Face cache", optional=True),
        DEVICE,
    ),
    weights=(WEIGHTS,),
    offline="sketch",
    aliases={"pidi": {}},
)
