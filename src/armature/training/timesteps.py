"""Which noise levels an adapter learns from."""

from __future__ import annotations

import torch
from torch import Tensor

from armature.errors import RecipeError


def cubic_timesteps(count: int, total: int = 1000, generator: torch.Generator | None = None) -> Tensor:
    """Timesteps drawn more often early in sampling, where structure is decided: t = (1 - (u/T)^3) T, u ~ U(0, T).

    Returns (count,) int64 in 0..total-1 (t = T itself is clamped); P(t > T/2) = 0.79, mean 0.75 T.
    Source: paper section 3.5. Raises RecipeError unless count and total are positive.
    """
    _check(count, total)
    u = torch.rand(count, generator=generator)
    return ((1 - u**3) * total).long().clamp(max=total - 1)


def uniform_timesteps(
    count: int, total: int = 1000, generator: torch.Generator | None = None, *, low: int = 0, high: int | None = None
) -> Tensor:
    """(count,) int64 drawn evenly from low..high-1; high is total unless given.

    Raises RecipeError for an empty or impossible range. The authors' advice for colour is low=500.
    """
    _check(count, total)
    high = total if high is None else high
    if not 0 <= low < high <= total:
        raise RecipeError(f"Timesteps were asked for from {low} to {high}; expected 0 <= low < high <= {total}.")
    return torch.randint(low, high, (count,), generator=generator)


def _check(count: int, total: int) -> None:
    if count < 1 or total < 1:
        raise RecipeError(f"{count} timesteps of {total} were asked for; both must be positive.")
