"""Soft edges by HED."""

from __future__ import annotations

from typing import TYPE_CHECKING

from armature.conditions.extractor import Extractor, Option, Weights
from armature.conditions.kinds import contract_for
from armature.conditions.networks.loading import DEVICE, load_network

if TYPE_CHECKING:
    from PIL import Image

WEIGHTS = Weights("ControlNetHED.pth", 29.4, "https://huggingface.co/lllyasviel/Annotators", "Apache-2.0")


def hed(picture: Image.Image, weights: str | None, device: str) -> Image.Image:
    """Edge strength as brightness on black, mode "L"."""
    import numpy as np
    import torch

    from armature.conditions.networks.hed import HED
    from armature.conditions.picture.edges import to_map

    network = load_network(HED, weights, device, weights=WEIGHTS, offline="softedge")
    tones = np.asarray(picture.convert("RGB"), dtype=np.float32)
    where = next(network.parameters()).device
    with torch.inference_mode():
        edges = network(torch.from_numpy(tones.transpose(2, 0, 1)[None].copy()).to(where))[0, 0].cpu().numpy()
    return to_map(edges)


EXTRACTOR = Extractor(
    name="hed",
    kind="softedge",
    summary="soft edges by the HED network",
    run=hed,
    contract=contract_for("softedge"),
    options=(Option("weights", None, "path of the .pth file; auto: Hugging Face cache", optional=True), DEVICE),
    weights=(WEIGHTS,),
    offline="softedge",
)
