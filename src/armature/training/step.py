"""One training step of an adapter, as a function: the frozen base predicts, the adapter takes the blame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from armature.adapters.base import Adapter
from armature.errors import RecipeError
from armature.injection.hooks import Injection
from armature.training.loss import mean_squared_error, noised, target


@dataclass(frozen=True)
class Batch:
    """What a step learns from, n samples.

    latents: (n, 4, h, w), scaled by the autoencoder's factor. text: (n, tokens, width) states of the captions.
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


def adapter_loss(
    injection: Injection,
    unet: nn.Module,
    adapter: Adapter,
    batch: Batch,
    timesteps: Tensor,
    noise: Tensor,
    alphas_cumprod: Tensor,
    prediction: str,
    weight: Tensor | None = None,
) -> Tensor:
    """The loss of one batch, a scalar with gradients to the adapter only.

    injection: an entered `injected(unet)`. timesteps: (n,) int64. noise: as latents. alphas_cumprod: of the whole
    schedule. prediction: the base's, "epsilon" or "v_prediction". weight: (n,) or None for the paper's plain error.
    Raises RecipeError when the base still has parameters that ask for gradients.
    Source: paper equation 7.
    """
    if any(parameter.requires_grad for parameter in unet.parameters()):
        raise RecipeError("The base model is not frozen; call armature.training.step.freeze on it first.")
    at = alphas_cumprod[timesteps]
    noisy = noised(batch.latents, noise, at)
    injection.set(adapter(batch.control))
    more = {} if batch.added is None else {"added_cond_kwargs": batch.added}
    out = unet(noisy, timesteps, batch.text, return_dict=False, **more)[0]
    return mean_squared_error(out, target(prediction, batch.latents, noise, at), weight)


def alphas_of(scheduler: Any) -> Tensor:
    """The schedule's cumulative alphas, (T,) float32, from any diffusers scheduler. RecipeError when it has none."""
    alphas = getattr(scheduler, "alphas_cumprod", None)
    if alphas is None:
        raise RecipeError(f"{type(scheduler).__name__} has no alphas_cumprod; train with a DDPM-like scheduler.")
    return torch.as_tensor(alphas, dtype=torch.float32)
