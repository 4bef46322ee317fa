"""Beginning with the weights of a trained adapter: the same kind exactly, another kind as far as the shapes agree."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from armature.adapters.base import Adapter
from armature.checkpoints.load import load_adapter
from armature.errors import CheckpointError, RecipeError


@dataclass(frozen=True)
class InitReport:
    """What a new adapter took over from the one it started from.

    source: that adapter, as the recipe names it. kind: its kind, or None when nobody said.
    taken, fresh: names of the modules whose weights were taken, and of those that were initialised anew.
    unused: names of the old adapter's modules that the new one has no place for.
    """

    source: str
    kind: str | None
    taken: tuple[str, ...]
    fresh: tuple[str, ...]
    unused: tuple[str, ...]

    @property
    def notes(self) -> tuple[str, ...]:
        """The same in sentences."""
        of = "of unknown kind" if self.kind is None else f"for {self.kind}"
        lines = [f"started from {self.source} ({of}): {len(self.taken)} of {len(self.taken + self.fresh)} layers taken"]
        if self.fresh:
            lines.append(f"initialised anew: {', '.join(self.fresh)}")
        if self.unused:
            lines.append(f"not taken from {self.source}: {', '.join(self.unused)}")
        return tuple(lines)


def load_source(source: str) -> Adapter:
    """The adapter whose weights a training begins with, float32 on the CPU; RecipeError when it cannot be opened."""
    try:
        return load_adapter(source, dtype=torch.float32)
    except CheckpointError as error:
        raise RecipeError(f"adapter.init_from is {source!r}: {error}") from error


def check_family(start: Adapter, family: str | None, base: str) -> None:
    """Raise RecipeError when an adapter to start from is of another family than the adapters of the base."""
    source = start.card.source or "the start"
    if start.card.family not in (None, family):
        raise RecipeError(
            f"adapter.init_from is {source!r}, an adapter for the family {start.card.family}, and the base {base!r} is "
            f"of the family {family}; take one of that family, or leave adapter.init_from out."
        )


def init_from(adapter: Adapter, start: Adapter, base: str) -> InitReport:
    """Copy into the new adapter every layer of the old one that has the same place and shapes.

    A layer is taken whole (weight and bias) or not at all: the stem of a map with other channels starts anew.
    base: name of the base, for messages. Raises RecipeError, which names both, for an adapter of another family and
    for one that has nothing in common with the new one.
    """
    source = start.card.source or "the start"
    check_family(start, adapter.card.family, base)
    old, new = _layers(start), _layers(adapter)
    taken = [
        name
        for name, tensors in new.items()
        if name in old
        and {part: tensor.shape for part, tensor in tensors.items()}
        == {part: tensor.shape for part, tensor in old[name].items()}
    ]
    if not taken:
        raise RecipeError(
            f"adapter.init_from is {source!r}, a {start.spec.network} adapter with the widths {_widths(start)}, "
            f"which has no layer in common with the {adapter.spec.network} adapter with the widths "
            f"{_widths(adapter)} that the base {base!r} needs; leave adapter.init_from out."
        )
    with torch.no_grad():
        for name in taken:
            for part, tensor in new[name].items():
                tensor.copy_(old[name][part])
    return InitReport(
        source=source,
        kind=start.card.kind,
        taken=tuple(taken),
        fresh=tuple(name for name in new if name not in taken),
        unused=tuple(name for name in old if name not in taken),
    )


def _layers(adapter: Adapter) -> dict[str, dict[str, torch.Tensor]]:
    """Tensors of every layer by the layer's name and the tensor's own."""
    layers: dict[str, dict[str, torch.Tensor]] = {}
    for name, tensor in adapter.state_dict(keep_vars=True).items():
        layer, _, part = name.rpartition(".")
        layers.setdefault(type(adapter).layer_place(layer, adapter.spec), {})[part] = tensor
    return layers


def _widths(adapter: Adapter) -> list[int]:
    return [feature.channels for feature in adapter.spec.maps]
