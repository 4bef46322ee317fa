"""One training step of an adapter, as a function: the frozen base predicts, the adapter takes the blame."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from armature.errors import RecipeError
from armature.injection.hooks import Injection
from armature.training.trainer.loss import mean_squared_error, noised, target


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
    prediction: the base's, "epsilon" or "v_prediction". weight: (n,) or None for the paper's plain error.
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
    with _computing(noisy.device, arithmetic):
        injection.set(adapter(batch.control))
    own = next(unet.parameters()).dtype
    more = {} if batch.added is None else {"added_cond_kwargs": batch.added}
    # Weights in half precision need no casting; autocast around them would only move their norms to float32.
    with _computing(noisy.device, arithmetic if own == torch.float32 else torch.float32):
        out = unet(noisy.to(own), timesteps, batch.text.to(own), return_dict=False, **more)[0]
    return mean_squared_error(out, target(prediction, batch.latents, noise, at), weight)


def _computing(device: torch.device, dtype: torch.dtype) -> AbstractContextManager[Any]:
    """Where float32 weights compute in another precision."""
    return nullcontext() if dtype == torch.float32 else torch.autocast(device.type, dtype)


def alphas_of(scheduler: Any) -> Tensor:
    """The schedule's cumulative alphas, (T,) float32, from any diffusers scheduler. RecipeError when it has none."""
    alphas = getattr(scheduler, "alphas_cumprod", None)
    if alphas is None:
        raise RecipeError(f"{type(scheduler).__name__} has no alphas_cumprod; train with a DDPM-like scheduler.")
    return torch.as_tensor(alphas, dtype=torch.float32)
