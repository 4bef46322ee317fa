"""What every network's own record of its structure answers: the maps and tokens it gives, and the sizes it takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar, Self

from armature.errors import CheckpointError

Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class MapShape:
    """One feature map: its channels, and how many pixels of the condition make one of its cells, per side."""

    channels: int
    stride: int


@dataclass(frozen=True)
class TokenShape:
    """The tokens that a network gives for one condition: how many, and how wide each is."""

    count: int
    width: int


@dataclass(frozen=True)
class AdapterSpec:
    """The structure of one adapter; the subclasses, one a network, hold its numbers as fields.

    Two adapters with equal specs have equal keys and shapes. network: the name in `registry.NETWORKS`.
    Raises CheckpointError when the values do not describe a network.
    """

    network: ClassVar[str]

    def __post_init__(self) -> None:
        if problems := self.problems():
            raise CheckpointError(f"This is no adapter network: {'; '.join(problems)}.")

    @property
    def maps(self) -> tuple[MapShape, ...]:
        """The feature maps that it gives, finest first; empty for a network that gives none."""
        return ()

    @property
    def tokens(self) -> TokenShape | None:
        """The tokens that it gives for the text context, or None."""
        return None

    @property
    def size_multiple(self) -> int:
        """Sides of the pictures that it takes are multiples of this, in pixels."""
        return 1

    @property
    def picture_channels(self) -> int | None:
        """Channels of the condition map, or None for a network that takes none."""
        return None

    @property
    def reading(self) -> str:
        """What sets it apart from another network whose files have the very same keys, in words."""
        return f"a {self.network} network"

    def problems(self) -> list[str]:
        """Everything that is wrong with the values, in words."""
        return []

    def contradiction(self, shapes: Shapes) -> str | None:
        """Why tensors of these names and shapes cannot be this network's, where that shows before building it.

        Returns the rest of a sentence that begins with the file's name, or None.
        """
        return None

    def to_dict(self) -> dict[str, Any]:
        """The network's name and the fields, as JSON-ready values."""
        values = {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}
        return {"network": self.network, **values}

    @classmethod
    def from_fields(cls, values: Mapping[str, Any]) -> Self:
        """The spec with these fields; raises CheckpointError for unknown and missing ones."""
        known = {field.name for field in fields(cls)}
        if unknown := sorted(set(values) - known):
            raise CheckpointError(f"Unknown fields in an adapter spec: {unknown}; expected some of {sorted(known)}.")
        if missing := sorted(known - set(values)):
            raise CheckpointError(f"Fields missing from an adapter spec: {missing}; write all of {sorted(known)}.")
        return cls(**values)


def at_least_one(spec: AdapterSpec, *names: str) -> list[str]:
    """The problems of those fields that are no whole numbers from 1 on."""
    values = {name: getattr(spec, name) for name in names}
    return [
        f"{name} is {value}, expected at least 1"
        for name, value in values.items()
        if isinstance(value, bool) or not isinstance(value, int) or value < 1
    ]
