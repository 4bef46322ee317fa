"""The input of style adapters: what CLIP's vision tower sees in a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from armature.conditions.extractor import Weights
from armature.conditions.networks.loading import load_model, pixel_values
from armature.conditions.picture.reading import read_picture

if TYPE_CHECKING:
    import torch

WEIGHTS = Weights("openai/clip-vit-large-patch14", 1710, "https://huggingface.co/openai/clip-vit-large-patch14", "MIT")


def style_states(
    picture: Any, *, model: str = WEIGHTS.source, device: str = "auto", precision: str = "float32"
) -> torch.Tensor:
    """The last hidden states of CLIP's vision tower: (1, tokens, width), (1, 257, 1024) for ViT-L/14.

    picture: path, PIL picture, NumPy array or tensor. Raises ConditionError for a picture that cannot be read and
    for absent weights. Source: the authors' style adapter.
    """
    import torch

    image = read_picture(picture)
    network, processor = load_model("vision", model, device, precision, weights=WEIGHTS, offline=None)
    with torch.inference_mode():
        return network(pixel_values=pixel_values(processor, image, network)).last_hidden_state
