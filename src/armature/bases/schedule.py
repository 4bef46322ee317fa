"""What a base was taught to predict at each noise level, read from its scheduler."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from armature.errors import RecipeError

Prediction = Literal["epsilon", "v_prediction", "sample"]


@dataclass(frozen=True, eq=False)
class NoiseSchedule:
    """The noise levels of a base and its prediction type.

    alphas: (T,) float32, cumulative, of the whole schedule. prediction: what the U-Net answers: the noise, the
    velocity, or the clean latents.
    """

    alphas: Tensor
    prediction: Prediction

    @classmethod
    def of(cls, scheduler: Any) -> NoiseSchedule:
        """That of any diffusers scheduler with discrete noise levels.

        Raises RecipeError when it has none, or another prediction type.
        """
        return cls(alphas_of(scheduler), prediction_of(scheduler))

    @property
    def zero_terminal_snr(self) -> bool:
        """Whether nothing is left of the picture at the last noise level."""
        return float(self.alphas[-1]) < 1e-6


def alphas_of(scheduler: Any) -> Tensor:
    """The schedule's cumulative alphas, (T,) float32, from any diffusers scheduler. RecipeError when it has none."""
    alphas = getattr(scheduler, "alphas_cumprod", None)
    if alphas is None:
        raise RecipeError(f"{type(scheduler).__name__} has no alphas_cumprod; train with a DDPM-like scheduler.")
    return torch.as_tensor(alphas, dtype=torch.float32)


def prediction_of(scheduler: Any) -> Prediction:
    """The prediction type of a scheduler, epsilon where it names none. RecipeError for one that is not known."""
    return known_prediction(str(scheduler.config.get("prediction_type", "epsilon")))


def known_prediction(name: str) -> Prediction:
    """The prediction type of a name. RecipeError for one that is not known."""
    for known in get_args(Prediction):
        if name == known:
            return known
    raise RecipeError(f"The base predicts {name!r}; expected one of {', '.join(get_args(Prediction))}.")


def noised(latents: Tensor, noise: Tensor, alphas_cumprod: Tensor) -> Tensor:
    """x_t = sqrt(a) x_0 + sqrt(1 - a) e. latents, noise: (n, c, h, w); alphas_cumprod: (n,), that of each timestep."""
    a = alphas_cumprod.view(-1, 1, 1, 1)
    return a.sqrt() * latents + (1 - a).sqrt() * noise


def target(prediction: str, latents: Tensor, noise: Tensor, alphas_cumprod: Tensor) -> Tensor:
    """The right answer of a U-Net of this prediction type, (n, c, h, w).

    epsilon: e. v_prediction: v = sqrt(a) e - sqrt(1 - a) x_0 (Salimans and Ho 2022). sample: x_0.
    Raises RecipeError for any other type.
    """
    kind = known_prediction(prediction)
    if kind == "epsilon":
        return noise
    if kind == "sample":
        return latents
    a = alphas_cumprod.view(-1, 1, 1, 1)
    return a.sqrt() * noise - (1 - a).sqrt() * latents
