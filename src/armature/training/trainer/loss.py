"""What the frozen base should have predicted, and how much each noise level counts."""

from __future__ import annotations

from typing import Literal, get_args

from torch import Tensor

from armature.errors import RecipeError

Prediction = Literal["epsilon", "v_prediction"]


def noised(latents: Tensor, noise: Tensor, alphas_cumprod: Tensor) -> Tensor:
    """x_t = sqrt(a) x_0 + sqrt(1 - a) e. latents, noise: (n, c, h, w); alphas_cumprod: (n,), that of each timestep."""
    a = alphas_cumprod.view(-1, 1, 1, 1)
    return a.sqrt() * latents + (1 - a).sqrt() * noise


def target(prediction: str, latents: Tensor, noise: Tensor, alphas_cumprod: Tensor) -> Tensor:
    """The right answer of a U-Net of this prediction type, (n, c, h, w).

    epsilon: e. v_prediction: v = sqrt(a) e - sqrt(1 - a) x_0 (Salimans and Ho 2022).
    Raises RecipeError for any other type.
    """
    if prediction == "epsilon":
        return noise
    if prediction == "v_prediction":
        a = alphas_cumprod.view(-1, 1, 1, 1)
        return a.sqrt() * noise - (1 - a).sqrt() * latents
    raise RecipeError(f"The base predicts {prediction!r}; expected one of {', '.join(get_args(Prediction))}.")


def min_snr_weight(prediction: str, alphas_cumprod: Tensor, cap: float = 5.0) -> Tensor:
    """Weight of each sample's squared error so that no noise level outweighs the others; (n,).

    With snr = a / (1 - a): min(snr, cap) / snr for epsilon, min(snr, cap) / (snr + 1) for v (Hang et al. 2023).
    Raises RecipeError for an unknown prediction type or a cap that is not positive.
    """
    if cap <= 0:
        raise RecipeError(f"The SNR cap is {cap}; expected a positive number, 5 in the paper.")
    snr = alphas_cumprod / (1 - alphas_cumprod)
    if prediction == "epsilon":
        return snr.clamp(max=cap) / snr
    if prediction == "v_prediction":
        return snr.clamp(max=cap) / (snr + 1)
    raise RecipeError(f"The base predicts {prediction!r}; expected one of {', '.join(get_args(Prediction))}.")


def mean_squared_error(predicted: Tensor, wanted: Tensor, weight: Tensor | None = None) -> Tensor:
    """Scalar: squared error averaged per sample, weighted by (n,) weights if given, in float32."""
    error = (predicted.float() - wanted.float()).square().flatten(1).mean(1)
    return (error if weight is None else error * weight).mean()
