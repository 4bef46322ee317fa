"""Several adapters as one, as diffusers' MultiAdapter joins them: one picture for each, and the sum of their maps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import nn

from armature.adapters.base import Adapter, AdapterCard, PreparedCondition
from armature.adapters.features import Features
from armature.adapters.region import Region
from armature.adapters.spec import AdapterSpec, MapShape, Shapes
from armature.conditions.contract import InputContract
from armature.conditions.picture.fit import Fit
from armature.errors import CheckpointError, ConditionError


@dataclass(frozen=True)
class BundleSpec(AdapterSpec):
    """The specs of the members, in their order; all give maps of the same shapes."""

    network = "bundle"

    members: tuple[AdapterSpec, ...]

    @property
    def maps(self) -> tuple[MapShape, ...]:
        """Those of every member."""
        return self.members[0].maps

    @property
    def size_multiple(self) -> int:
        """Of the first, which all share."""
        return self.members[0].size_multiple

    @property
    def picture_channels(self) -> int:
        """Of all members together."""
        return sum(spec.picture_channels or 0 for spec in self.members)

    def problems(self) -> list[str]:
        """Members without maps, and members whose maps cannot be added."""
        shapes = {spec.maps for spec in self.members}
        if len(shapes) != 1 or () in shapes:
            return ["the members give maps of different shapes, which cannot be added; attach them as controls each"]
        return []


class BundleAdapter(Adapter):
    """Adapters whose maps are summed; its condition is that of the members, their channels side by side.

    It has no files: load and save its members. Source: diffusers' MultiAdapter.
    """

    spec_type = BundleSpec
    takes = "condition map"
    save_obstacle = "it joins several; save its members one by one"
    spec: BundleSpec

    def __init__(self, members: Sequence[Adapter]) -> None:
        if not members:
            raise CheckpointError("A bundle of adapters has no members; give at least one.")
        kinds = "+".join(one.card.kind or one.spec.network for one in members)
        notes = tuple(dict.fromkeys(note for one in members for note in one.card.notes))
        card = AdapterCard(kind=kinds, family=members[0].card.family, notes=notes)
        super().__init__(BundleSpec(tuple(one.spec for one in members)), card)
        self.members = nn.ModuleList(members)
        self.pictures_each = len(members)

    @property
    def contract(self) -> InputContract:
        """Of the first member; the others have their own."""
        return self._listed[0].contract

    @property
    def _listed(self) -> list[Adapter]:
        return [cast("Adapter", member) for member in self.members]

    def features(self, x: torch.Tensor) -> Features:
        """(batch, all channels, height, width) -> the sum of the members' maps."""
        channels = [spec.picture_channels or 0 for spec in self.spec.members]
        given = [one(part).maps for one, part in zip(self._listed, x.split(channels, dim=1), strict=True)]
        return Features(tuple(torch.stack(level).sum(dim=0) for level in zip(*given, strict=True)))

    def check(self, x: torch.Tensor) -> None:
        """Rank and channels; the members check the rest."""
        if x.ndim != 4 or x.shape[1] != self.spec.picture_channels:
            raise ConditionError(
                f"The condition has shape {tuple(x.shape)}; expected (batch, {self.spec.picture_channels}, height, "
                "width), the maps of all members side by side."
            )

    def read(self, picture: Any) -> tuple[Any, tuple[str, ...]]:
        """A list with one picture for each member."""
        if not isinstance(picture, (list, tuple)) or len(picture) != len(self.members):
            count = len(picture) if isinstance(picture, (list, tuple)) else 1
            raise ConditionError(
                f"This bundle joins {len(self.members)} adapters and got {count} pictures; give one each."
            )
        read = [one.read(part) for one, part in zip(self._listed, picture, strict=True)]
        return [value for value, _ in read], tuple(dict.fromkeys(note for _, notes in read for note in notes))

    def prepare(
        self,
        pictures: Sequence[Any],
        size: tuple[int, int],
        region: Region | None = None,
        fit: Fit = "stretch",
    ) -> PreparedCondition:
        """Each member's own preparation, side by side."""
        own = [[picture[index] for picture in pictures] for index in range(len(self.members))]
        prepared = [one.prepare(part, size, region, fit) for one, part in zip(self._listed, own, strict=True)]
        value = torch.cat([one.value for one in prepared], dim=1)
        notes = tuple(dict.fromkeys(note for one in prepared for note in one.notes))
        return PreparedCondition(value, prepared[0].size, notes)

    @classmethod
    def recognises(cls, shapes: Shapes) -> bool:
        """No file holds a bundle."""
        return False

    @classmethod
    def candidates(cls, shapes: Shapes) -> list[AdapterSpec]:
        """None."""
        return []
