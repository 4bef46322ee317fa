"""The averaged weights, which are smoother than any weights that training passes through."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


def decay_at(decay: float, updates: int) -> float:
    """The decay of the n-th update, n from 1: min(decay, (1 + n) / (10 + n)), so that the start does not linger."""
    return min(decay, (1 + updates) / (10 + updates))


class Ema:
    """Exponential moving average of parameters: average <- d average + (1 - d) weights.

    It starts as a copy of the parameters, and keeps their device, precision and layout.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], decay: float) -> None:
        self.decay = decay
        self.live = list(parameters)
        self.average: list[Tensor] = [parameter.detach().clone() for parameter in self.live]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Move the average towards the present parameters. step: optimizer steps done, at least 1."""
        torch._foreach_lerp_(self.average, [p.detach() for p in self.live], 1 - decay_at(self.decay, step))

    @contextmanager
    def swapped(self) -> Iterator[None]:
        """The parameters hold the average while the block runs, and their own values again after it."""
        self._exchange()
        try:
            yield
        finally:
            self._exchange()

    @torch.no_grad()
    def load(self, values: Iterable[Tensor]) -> None:
        """Take over averages in the order of the parameters."""
        for average, value in zip(self.average, values, strict=True):
            average.copy_(value)

    @torch.no_grad()
    def copy_out(self) -> None:
        """Put the average into the parameters for good."""
        for parameter, average in zip(self.live, self.average, strict=True):
            parameter.copy_(average)

    def _exchange(self) -> None:
        # Storages change places: no copy is made, and no rounding happens.
        for index, parameter in enumerate(self.live):
            parameter.data, self.average[index] = self.average[index], parameter.data
