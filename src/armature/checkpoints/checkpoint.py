"""Read a source whole: its weights under our names, and everything known about them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from armature.adapters.base import AdapterCard
from armature.adapters.readers import Layout
from armature.adapters.registry import network_of
from armature.adapters.spec import AdapterSpec
from armature.checkpoints.config import spec_from_config
from armature.checkpoints.detect import Evidence, detect
from armature.checkpoints.metadata import Header, read_header
from armature.checkpoints.naming import family_of, kind_of
from armature.checkpoints.sources import Located, locate
from armature.checkpoints.weights import Format, WeightFile, check_types, read_weights
from armature.conditions.kinds import canonical_kind, contract_for
from armature.errors import CheckpointError, ConditionError


@dataclass(frozen=True)
class Checkpoint:
    """One adapter's file or folder, read and recognised.

    tensors: by the authors' names, in the file's precision. layout: whose names the file uses.
    files: what was read. card: kind, family, contract, source and metadata.
    """

    tensors: dict[str, torch.Tensor]
    spec: AdapterSpec
    card: AdapterCard
    layout: Layout
    format: Format
    files: tuple[Path, ...]

    @property
    def dtypes(self) -> tuple[torch.dtype, ...]:
        """The precisions of the tensors, each once, widest first."""
        return tuple(sorted({t.dtype for t in self.tensors.values()}, key=lambda d: (-d.itemsize, str(d))))

    @property
    def parameters(self) -> int:
        """Number of weights."""
        return sum(tensor.numel() for tensor in self.tensors.values())

    def not_finite(self) -> list[str]:
        """Names of the tensors that hold NaN or infinity."""
        return [name for name, tensor in self.tensors.items() if not bool(torch.isfinite(tensor).all())]


def read_checkpoint(
    source: str | Path,
    *,
    kind: str | None = None,
    in_channels: int | None = None,
    revision: str | None = None,
    subfolder: str | None = None,
    variant: str | None = None,
) -> Checkpoint:
    """Read an adapter's weights and say what they are; nothing is built yet.

    The arguments are load_adapter's. Raises CheckpointError for everything that is not one intact adapter, and
    ConditionError for an unknown kind.
    """
    located = locate(source, revision=revision, subfolder=subfolder, variant=variant)
    stated = None if located.config is None else spec_from_config(located.config, located.where)
    files = [read_weights(path) for path in located.weights]
    tensors = _merge(files, located.where)
    header = read_header(_metadata(files), located.where)
    evidence = Evidence(header.spec or stated, _first(family_of, located.names), in_channels)
    detection = detect({name: tuple(t.shape) for name, t in tensors.items()}, located.where, evidence)
    check_types(tensors, located.where)
    spec = detection.spec
    if in_channels not in (None, spec.picture_channels):
        raise CheckpointError(
            f"{located.where} states {spec.picture_channels} input channels, not {in_channels}; leave in_channels out."
        )
    return Checkpoint(
        tensors={detection.names[name]: tensor for name, tensor in tensors.items()},
        spec=spec,
        card=_card(located, header, spec, detection.notes, str(source), kind),
        layout=detection.layout,
        format=files[0].format,
        files=located.weights,
    )


def _card(
    located: Located, header: Header, spec: AdapterSpec, notes: tuple[str, ...], source: str, kind: str | None
) -> AdapterCard:
    """The user's kind outranks the metadata's, and that the names'; a saved contract goes with its kind."""
    network = network_of(spec)
    family: str | None = header.family or network.family
    chosen = canonical_kind(kind) if kind is not None else header.kind or network.kind or _first(kind_of, located.names)
    if network.takes == "features":
        return AdapterCard(chosen, family, None, source, header.rest, notes)
    if header.contract is not None and chosen == header.kind:
        contract = header.contract
    else:
        contract = contract_for(
            _known(chosen), in_channels=spec.picture_channels, family=family, source=located.names[0]
        )
        if contract.order == "BGR":
            notes = (
                *notes,
                f"Nothing in the file says its channel order: blue, green, red is assumed, as the published {chosen} "
                f"adapter of this family was trained. For one trained on RGB, replace its card's contract.",
            )
    if chosen is None:
        notes = (
            *notes,
            "Its kind is unknown, neither the file nor its name tells: maps are taken as they are, without inversion "
            "or threshold. Say kind='sketch' or whatever it is.",
        )
    return AdapterCard(chosen, family, contract, source, header.rest, notes)


def _first(read: Callable[[str], Any], names: tuple[str, ...]) -> Any:
    """What the first name says that says anything."""
    return next((answer for name in names if (answer := read(name)) is not None), None)


def _known(kind: str | None) -> str | None:
    """A kind that metadata names need not be one of ours; its contract then says only the channels."""
    try:
        return None if kind is None else canonical_kind(kind)
    except ConditionError:
        return None


def _merge(files: list[WeightFile], where: str) -> dict[str, torch.Tensor]:
    tensors: dict[str, torch.Tensor] = {}
    for file in files:
        if twice := tensors.keys() & file.tensors.keys():
            raise CheckpointError(f"{where} holds {sorted(twice)[0]} in two shards; download the shards again.")
        tensors.update(file.tensors)
    return tensors


def _metadata(files: list[WeightFile]) -> dict[str, Any]:
    return {name: text for file in files for name, text in file.metadata.items()}
