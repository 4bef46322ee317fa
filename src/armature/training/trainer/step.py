"""One training step of an adapter, as a function: the frozen base predicts, the adapter takes the blame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from armature.bases.schedule import noised, target
from armature.bases.unet import computing_in, predict
from armature.errors import RecipeError
from armature.injection.hooks import Injection
from armature.training.trainer.loss import mean_squared_error


@dataclass(frozen=True)
class Batch:
    """What a step learns from, n samples.

    latents: (n, c, h, w), scaled by the autoencoder's factor. text: (n, tokens, width) states of the captions.
    control: (n, channels, 8h, 8w) condition maps in the adapter's contract. added: SDXL's added_cond_kwargs, or None.
    """

    latents: Tensor
    text: Tensor
    control: Tensor
    added: dict[str, Any] | None = None


def freeze(*modules: nn.Module) -> None:
    """Switch gradients off for every parameter: no memory and no time goes into the base's weights."""
    for module in modules:
        module.requires_grad_(False)
        module.eval()


def check_frozen(unet: nn.Module) -> None:
    """Raise RecipeError when a parameter of the base still asks for gradients."""
    if any(parameter.requires_grad for parameter in unet.parameters()):
        raise RecipeError("The base model is not frozen; call armature.training.trainer.step.freeze on it first.")


def adapter_loss(
    injection: Injection,
    unet: nn.Module,
    adapter: nn.Module,
    batch: Batch,
    timesteps: Tensor,
    noise: Tensor,
    alphas_cumprod: Tensor,
    prediction: str,
    weight: Tensor | None = None,
    arithmetic: torch.dtype = torch.float32,
    *,
    known_frozen: bool = False,
) -> Tensor:
    """The loss of one batch, a scalar with gradients to the adapter only.

    injection: an entered `injected(unet)`. unet: in any precision, compiled or not. adapter: an Adapter, wrapped or
    not. timesteps: (n,) int64. noise: as latents. alphas_cumprod: of the whole schedule, on their device.
    prediction: the base's, see `armature.bases.schedule`. weight: (n,) or None for the paper's plain error.
    arithmetic: what the adapter's float32 weights compute in; a half-precision base keeps to its own precision, and a
    float32 base follows. Noise, target and error are float32 in any case.
    known_frozen: do not look through all of the base's parameters, which takes milliseconds in a large one.
    Raises RecipeError when the base still has parameters that ask for gradients.
    Source: paper equation 7.
    """
    if not known_frozen:
        check_frozen(unet)
    at = alphas_cumprod[timesteps]
    noisy = noised(batch.latents, noise, at)
    with computing_in(noisy.device, arithmetic):
        injection.set(adapter(batch.control))
    out = predict(unet, noisy, timesteps, batch.text, batch.added, arithmetic)
    return mean_squared_error(out, target(prediction, batch.latents, noise, at), weight)
