"""Which noise levels an adapter learns from."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor

from armature.errors import RecipeError

Distribution = Literal["cubic", "uniform", "logit-normal"]


def cubic_timesteps(
    count: int, total: int = 1000, generator: torch.Generator | None = None, *, low: int = 0, high: int | None = None
) -> Tensor:
    """Timesteps drawn more often early in sampling, where structure is decided: t = (1 - (u/T)^3) T, u ~ U(0, T).

    Returns (count,) int64 in 0..total-1 (t = T itself is clamped); P(t > T/2) = 0.79, mean 0.75 T. A range low..high-1
    is filled with the same curve, so that its upper half keeps the share of 0.79.
    Source: paper section 3.5. Raises RecipeError unless count and total are positive and the range lies within them.
    """
    low, high = _checked(count, total, low, high)
    u = torch.rand(count, generator=generator)
    return low + ((1 - u**3) * (high - low)).long().clamp(max=high - low - 1)


def uniform_timesteps(
    count: int, total: int = 1000, generator: torch.Generator | None = None, *, low: int = 0, high: int | None = None
) -> Tensor:
    """(count,) int64 drawn evenly from low..high-1; high is total unless given.

    Raises RecipeError for an empty or impossible range. The authors' advice for colour is low=500.
    """
    low, high = _checked(count, total, low, high)
    return torch.randint(low, high, (count,), generator=generator)


def logit_normal_timesteps(
    count: int, total: int = 1000, generator: torch.Generator | None = None, *, low: int = 0, high: int | None = None
) -> Tensor:
    """(count,) int64 in low..high-1, drawn most often in the middle: sigmoid(n) of the way, n ~ N(0, 1).

    Raises RecipeError for an empty or impossible range. Source: Esser et al. 2024, section 3.1, m = 0 and s = 1.
    """
    low, high = _checked(count, total, low, high)
    share = torch.sigmoid(torch.randn(count, generator=generator))
    return low + (share * (high - low)).long().clamp(max=high - low - 1)


_DRAW = {"cubic": cubic_timesteps, "uniform": uniform_timesteps, "logit-normal": logit_normal_timesteps}


def drawn_timesteps(
    distribution: str, thousandths: tuple[int, int], total: int, generator: torch.Generator, count: int = 1
) -> Tensor:
    """(count,) int64 as a recipe asks for them.

    thousandths: from, up to but without, in thousandths of a schedule of `total` timesteps.
    Raises RecipeError for an unknown distribution or a range that is empty in this schedule.
    """
    if distribution not in _DRAW:
        raise RecipeError(f"train.timesteps is {distribution!r}; expected one of {', '.join(get_args(Distribution))}.")
    low, high = (thousandth * total // 1000 for thousandth in thousandths)
    return _DRAW[distribution](count, total, generator, low=low, high=high)


def _checked(count: int, total: int, low: int, high: int | None) -> tuple[int, int]:
    if count < 1 or total < 1:
        raise RecipeError(f"{count} timesteps of {total} were asked for; both must be positive.")
    high = total if high is None else high
    if not 0 <= low < high <= total:
        raise RecipeError(f"Timesteps were asked for from {low} to {high}; expected 0 <= low < high <= {total}.")
    return low, high
