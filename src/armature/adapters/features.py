"""What an adapter hands to the base: feature maps, and tokens for the text context."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from armature.errors import AttachError

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Features:
    """The output of one adapter for one control.

    maps: one tensor per encoder level, finest first, each (batch, channels, height, width).
    tokens: (batch, count, width) appended to the text context, or None; only style adapters have them.
    Raises AttachError when the parts do not agree with each other.
    Source: paper section 3.3 (four features F1..F4) and the authors' style adapter.
    """

    maps: tuple[torch.Tensor, ...] = ()
    tokens: torch.Tensor | None = None

    def __post_init__(self) -> None:
        if not self.maps and self.tokens is None:
            raise AttachError("Features without maps and without tokens act on nothing; give at least one of them.")
        for index, feature in enumerate(self.maps):
            if feature.ndim != 4:
                raise AttachError(
                    f"Feature map {index} has shape {tuple(feature.shape)}; expected (batch, channels, height, width)."
                )
        if self.tokens is not None and self.tokens.ndim != 3:
            raise AttachError(f"Tokens have shape {tuple(self.tokens.shape)}; expected (batch, count, width).")
        if len(batches := {part.shape[0] for part in self.parts}) > 1:
            raise AttachError(f"Features of one control have different batch sizes {sorted(batches)}; expected one.")

    @property
    def parts(self) -> tuple[torch.Tensor, ...]:
        """Maps and tokens together, in that order."""
        return self.maps if self.tokens is None else (*self.maps, self.tokens)

    @property
    def batch(self) -> int:
        """Number of controls in these features."""
        return self.parts[0].shape[0]

    def each(self, function: Callable[[torch.Tensor], torch.Tensor]) -> Features:
        """The features with a function applied to every map and to the tokens; it must keep their ranks."""
        return Features(
            tuple(function(feature) for feature in self.maps), None if self.tokens is None else function(self.tokens)
        )

    def scaled(self, weight: float) -> Features:
        """The features times a weight."""
        return self.each(lambda part: part * weight)

    def to(self, device: torch.device | None = None, dtype: torch.dtype | None = None) -> Features:
        """The same features on another device or in another precision."""
        return self.each(lambda part: part.to(device=device, dtype=dtype))
