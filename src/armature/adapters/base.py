"""The common face of every adapter: what it takes and gives, its card, and a checked forward pass.

A network is one subclass in `networks/`, which says everything that other rooms need to know of it: how its files are
recognised and named, how it is made for a base, and which other programs read it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from torch import nn

from armature.adapters.features import Features
from armature.adapters.keymap import KeyMap
from armature.adapters.readers import PROGRAMS, Reader
from armature.adapters.region import Region
from armature.adapters.save import save_adapter
from armature.adapters.spec import AdapterSpec, MapShape, Shapes
from armature.conditions.contract import InputContract
from armature.conditions.kinds import contract_for
from armature.conditions.picture.fit import Fit
from armature.errors import CheckpointError, ConditionError

Takes = Literal["condition map", "picture states", "first frame", "features"]


@dataclass(frozen=True)
class AdapterCard:
    """What is known about an adapter beside its structure; change it with dataclasses.replace.

    kind: "sketch", "depth"...; None when nobody said.
    family: key of the family of bases that it fits ("sd", "sdxl"...; see armature.bases.families), None when unknown.
    contract: how its condition map must look (channels, order, range, polarity), or None.
    source: where it was loaded from, as the user named it.
    metadata: what travels with the weights: extractor, thresholds, training summary; JSON-ready values.
    notes: readings of the file that a person should know about.
    """

    kind: str | None = None
    family: str | None = None
    contract: InputContract | None = None
    source: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class BaseShape:
    """What a base takes of an adapter.

    maps: of its sites, finest first. stride: pixels that one cell of its latent covers, per side.
    context: width of its text context, or None where it has none.
    """

    maps: tuple[MapShape, ...]
    stride: int
    context: int | None = None


@dataclass(frozen=True)
class PreparedCondition:
    """What goes into a network.

    value: what its forward takes. size: (height, width) in pixels at which it sees the picture, padding included, or
    None for a network that sees every picture at one size of its own. notes: what was done on the way.
    """

    value: torch.Tensor
    size: tuple[int, int] | None
    notes: tuple[str, ...] = ()


class Adapter(nn.Module, ABC):
    """A network from a condition to Features; the subclasses are the networks.

    Parameter names are those of the authors' files, so that an original file loads without translation.
    What a subclass says of itself:
    spec_type: the record of its structure, whose `network` is its name.
    takes: "condition map", "picture states" (of CLIP's vision tower), "first frame", or the "features" of others.
    family: of its published files, where a file says nothing else; None when it fits any. kind: the only one that it
        has, or None.
    stem: the tensor that every file of it has; expects: what the stem must look like, in words.
    keys, diffusers_type: its names in diffusers' layout and its type there, or None where diffusers has none.
    default_half: the half of guidance that it acts on unless a control says otherwise.
    pictures_each: pictures of which one condition consists. surplus_map: whether its last map may go unused.
    save_obstacle: why it cannot be saved, or None.
    """

    spec_type: ClassVar[type[AdapterSpec]]
    takes: ClassVar[Takes]
    family: ClassVar[str | None] = None
    kind: ClassVar[str | None] = None
    stem: ClassVar[str]
    expects: ClassVar[str]
    keys: ClassVar[KeyMap | None] = None
    diffusers_type: ClassVar[str | None] = None
    default_half: ClassVar[Literal["both", "conditional"]] = "both"
    surplus_map: ClassVar[bool] = False
    save_obstacle: ClassVar[str | None] = None
    pictures_each: int = 1

    def __init__(self, spec: AdapterSpec, card: AdapterCard) -> None:
        super().__init__()
        self.spec = spec
        self.card = card

    @property
    def contract(self) -> InputContract:
        """How the condition map must look, as far as it is known; ConditionError for a network that takes none."""
        channels = self.spec.picture_channels
        if self.card.contract is not None:
            return self.card.contract
        if channels is None:
            raise ConditionError(f"A {self.spec.network} network takes {self.takes}, and no condition map.")
        return contract_for(None, in_channels=channels, family=self.card.family, source=self.card.source)

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the weights."""
        return next(self.parameters()).dtype

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device

    def forward(self, x: Any) -> Features:
        """Compute the features of a batch of conditions.

        x: what the network takes: for a condition map (batch, in_channels, height, width) in the contract's range,
        sides multiples of spec.size_multiple; for picture states (batch, tokens, width); for features of others a
        list of (kind, Features).
        Returns Features with one map per shape in spec.maps, sizes divided by their strides and rounded up, and the
        tokens of spec.tokens. Raises ConditionError on another shape. Source: paper, equation 4.
        """
        self.check(x)
        return self.features(x)

    @abstractmethod
    def features(self, x: Any) -> Features:
        """The network itself, on a condition whose shape is known to fit."""

    @abstractmethod
    def check(self, x: Any) -> None:
        """Raise ConditionError unless the condition's shape fits."""

    def read(self, picture: Any) -> tuple[Any, tuple[str, ...]]:
        """One picture, read and checked so that `prepare` meets no surprise, and notes on what was read.

        Raises ConditionError for a picture that cannot be used.
        """
        raise ConditionError(f"A {self.spec.network} network takes {self.takes}, and no picture by itself.")

    def prepare(
        self,
        pictures: Sequence[Any],
        size: tuple[int, int],
        region: Region | None = None,
        fit: Fit = "stretch",
    ) -> PreparedCondition:
        """What goes into the network for a picture of (height, width) pixels.

        pictures: what `read` gave, one or more, which become one batch. region: the part of each that is generated;
        None for the whole. fit: how pictures of other proportions are brought to the size; see `fit_values`. Raises
        ConditionError like `read`.
        """
        raise ConditionError(f"A {self.spec.network} network takes {self.takes}, and no picture by itself.")

    def save_pretrained(self, folder: str | Path) -> Path:
        """Write the adapter as a folder that diffusers and others load; see `armature.save_adapter`."""
        return save_adapter(self, folder)

    @classmethod
    @abstractmethod
    def recognises(cls, shapes: Shapes) -> bool:
        """Whether tensors of these (original) names look like this network's, intact or damaged."""

    @classmethod
    @abstractmethod
    def candidates(cls, shapes: Shapes) -> list[AdapterSpec]:
        """Every structure of this network whose tensors could have these names and shapes; the stem is there."""

    @classmethod
    def assumptions(cls, spec: AdapterSpec) -> tuple[str, ...]:
        """What had to be assumed to read such a structure off a file, as sentences."""
        return ()

    @classmethod
    def usual(cls, spec: AdapterSpec) -> bool:
        """Whether published files have such numbers, which decides where keys fit several networks."""
        return False

    @classmethod
    def layer_place(cls, layer: str, spec: AdapterSpec) -> str:
        """A layer's name that means the same place in a network of other numbers, for starting from its weights."""
        return layer

    @classmethod
    def spec_for(
        cls, base: BaseShape, *, channels: int, options: Mapping[str, int], start: AdapterSpec | None = None
    ) -> AdapterSpec:
        """The structure of this network for a base.

        channels: of the condition map. options: numbers that a recipe may choose, by the spec's field names; those
        that the network does not know are left alone. start: of an adapter of this network, whose other numbers are
        taken over. Raises CheckpointError when there is none.
        """
        raise CheckpointError(f"A {cls.spec_type.network} network cannot be made for a base by itself.")

    @classmethod
    def empty_condition(cls, spec: AdapterSpec, count: int, size: tuple[int, int], dtype: torch.dtype) -> torch.Tensor:
        """A condition without content of the shape that the network takes for pictures of (height, width) pixels."""
        raise ConditionError(f"A {spec.network} network takes {cls.takes}, of which there is no empty one.")

    @classmethod
    def diffusers_obstacle(cls, spec: AdapterSpec) -> str | None:
        """Why diffusers' T2IAdapter cannot be this network, or None when it can."""
        return f"diffusers has no {spec.network} network"

    @classmethod
    def to_diffusers(cls, spec: AdapterSpec) -> dict[str, Any]:
        """The fields of the config with which diffusers builds this network; only where there is no obstacle."""
        raise CheckpointError(f"This adapter has no diffusers form: {cls.diffusers_obstacle(spec)}.")

    @classmethod
    def diffusers_names(cls, names: Sequence[str], spec: AdapterSpec) -> dict[str, str]:
        """The diffusers name of every tensor; only where there is no obstacle."""
        raise CheckpointError(f"This adapter has no diffusers form: {cls.diffusers_obstacle(spec)}.")

    @classmethod
    def from_diffusers(cls, config: Mapping[str, Any]) -> AdapterSpec | None:
        """The structure that a complete config of diffusers' T2IAdapter states, or None when it is of another type."""
        return None

    @classmethod
    def readers(cls, spec: AdapterSpec) -> tuple[Reader, ...]:
        """What every other program makes of such an adapter."""
        return tuple(Reader(program, (), "it knows no such network") for program in PROGRAMS)
