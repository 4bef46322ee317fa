"""How far the frozen base is off, and how much each noise level counts."""

from __future__ import annotations

from torch import Tensor

from armature.bases.schedule import known_prediction
from armature.errors import RecipeError


def min_snr_weight(prediction: str, alphas_cumprod: Tensor, cap: float = 5.0) -> Tensor:
    """Weight of each sample's squared error so that no noise level outweighs the others; (n,).

    With snr = a / (1 - a): min(snr, cap) / snr for epsilon, min(snr, cap) / (snr + 1) for v, min(snr, cap) for the
    sample itself (Hang et al. 2023). Where nothing is left of the picture (snr = 0), epsilon's weight is its limit, 1.
    Raises RecipeError for an unknown prediction type or a cap that is not positive.
    """
    if cap <= 0:
        raise RecipeError(f"The SNR cap is {cap}; expected a positive number, 5 in the paper.")
    kind = known_prediction(prediction)
    snr = alphas_cumprod / (1 - alphas_cumprod)
    if kind == "epsilon":
        return (cap / snr).clamp(max=1)
    return snr.clamp(max=cap) / (snr + 1) if kind == "v_prediction" else snr.clamp(max=cap)


def mean_squared_error(predicted: Tensor, wanted: Tensor, weight: Tensor | None = None) -> Tensor:
    """Scalar: squared error averaged per sample, weighted by (n,) weights if given, in float32."""
    error = (predicted.float() - wanted.float()).square().flatten(1).mean(1)
    return (error if weight is None else error * weight).mean()
