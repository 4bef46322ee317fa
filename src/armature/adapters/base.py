"""The common face of every adapter: its spec, its card, and a checked forward pass."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import nn

from armature.adapters.features import Features
from armature.adapters.spec import AdapterSpec
from armature.errors import ConditionError

if TYPE_CHECKING:
    from armature.conditions.contract import InputContract

Family = Literal["sd", "sdxl"]


@dataclass(frozen=True)
class AdapterCard:
    """What is known about an adapter beside its structure; change it with dataclasses.replace.

    kind: "sketch", "depth"...; None when nobody said.
    family: the base models it fits: "sd" (1.x and 2.x), "sdxl", or None when unknown.
    contract: how its condition map must look (channels, order, range, polarity), or None.
    source: where it was loaded from, as the user named it.
    metadata: what travels with the weights: extractor, thresholds, training summary; JSON-ready values.
    notes: readings of the file that a person should know about.
    """

    kind: str | None = None
    family: Family | None = None
    contract: InputContract | None = None
    source: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


class Adapter(nn.Module, ABC):
    """A network from condition maps to Features; the subclasses are the networks.

    Parameter names are those of the authors' files, so that an original file loads without translation.
    """

    def __init__(self, spec: AdapterSpec, card: AdapterCard) -> None:
        super().__init__()
        self.spec = spec
        self.card = card

    @property
    def contract(self) -> InputContract | None:
        """How the condition map must look, or None when the kind is unknown."""
        return self.card.contract

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the weights."""
        return next(self.parameters()).dtype

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device

    def forward(self, x: torch.Tensor) -> Features:
        """Compute the features of a batch of condition maps.

        x: (batch, in_channels, height, width) in the contract's range; sides are multiples of spec.stride.
        Returns Features with one map per level, (batch, channels[i], height / level_strides[i], width / ...), rounded
        up. Raises ConditionError on another shape. Source: paper, equation 4.
        """
        self._check(x)
        return self.features(x)

    @abstractmethod
    def features(self, x: torch.Tensor) -> Features:
        """The network itself, on a map whose shape is known to fit."""

    def _check(self, x: torch.Tensor) -> None:
        stride, channels = self.spec.stride, self.spec.in_channels
        if x.ndim != 4:
            raise ConditionError(
                f"The condition map has shape {tuple(x.shape)}; expected (batch, {channels}, height, width)."
            )
        if x.shape[1] != channels:
            raise ConditionError(
                f"The condition map has {x.shape[1]} channels; this adapter takes {channels}. Convert the map first."
            )
        height, width = x.shape[2:]
        if height % stride or width % stride:
            raise ConditionError(
                f"The condition map is {width}x{height} pixels; this adapter needs multiples of {stride}. "
                "Pad or resize it, or attach the adapter, which pads by itself."
            )
