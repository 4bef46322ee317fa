"""Say what a file is, without building it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from armature.adapters.readers import reader_table
from armature.adapters.registry import network_of
from armature.checkpoints.checkpoint import Checkpoint, read_checkpoint
from armature.conditions.contract import InputContract


@dataclass(frozen=True)
class Inspection:
    """Everything that Armature knows about an adapter's file.

    network: its name; takes: "condition map", "picture states"... structure: the numbers of its spec by name.
    maps: channels of the feature maps that it gives, finest first. tokens: how many tokens it gives, and their width.
    parameters: number of weights. dtypes: precisions in the file. format: "safetensors" or "torch".
    layout: "original" or "diffusers" key names. readers: for every other program "yes", or why it does not read it.
    notes: what a person should know: assumptions, NaN weights, programs that cannot read it.
    """

    source: str
    kind: str | None
    family: str | None
    network: str
    takes: str
    structure: Mapping[str, Any]
    maps: tuple[int, ...]
    tokens: tuple[int, int] | None
    parameters: int
    contract: InputContract | None
    format: str
    layout: str
    dtypes: tuple[str, ...]
    files: tuple[str, ...]
    size: int
    metadata: Mapping[str, Any]
    readers: Mapping[str, str]
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON-ready values."""
        return asdict(self)


def inspect(
    source: str | Path,
    *,
    kind: str | None = None,
    in_channels: int | None = None,
    revision: str | None = None,
    subfolder: str | None = None,
    variant: str | None = None,
) -> Inspection:
    """Read an adapter's file and describe it; the arguments are load_adapter's.

    size: of its weight files in bytes. NaN weights are noted here, where load_adapter refuses them.
    Raises CheckpointError for anything that is not an adapter.

    Example:
        print(armature.inspect("t2iadapter_depth_sd14v1.pth").contract)
    """
    checkpoint = read_checkpoint(
        source, kind=kind, in_channels=in_channels, revision=revision, subfolder=subfolder, variant=variant
    )
    spec, card = checkpoint.spec, checkpoint.card
    network, tokens = network_of(spec), spec.tokens
    structure = {name: value for name, value in spec.to_dict().items() if name != "network"}
    return Inspection(
        source=str(source),
        kind=card.kind,
        family=card.family,
        network=spec.network,
        takes=network.takes,
        structure=structure,
        maps=tuple(feature.channels for feature in spec.maps),
        tokens=None if tokens is None else (tokens.count, tokens.width),
        parameters=checkpoint.parameters,
        contract=card.contract,
        format=checkpoint.format,
        layout=checkpoint.layout,
        dtypes=tuple(str(dtype).removeprefix("torch.") for dtype in checkpoint.dtypes),
        files=tuple(str(path) for path in checkpoint.files),
        size=sum(path.stat().st_size for path in checkpoint.files),
        metadata=card.metadata,
        readers=reader_table(network.readers(spec), checkpoint.layout),
        notes=(*card.notes, *_notes(checkpoint)),
    )


def _notes(checkpoint: Checkpoint) -> list[str]:
    notes = []
    if broken := checkpoint.not_finite():
        notes.append(f"{len(broken)} tensors hold NaN or infinity ({broken[0]}...): this file cannot be used.")
    if len(checkpoint.dtypes) > 1:
        notes.append("The file mixes precisions; it loads in the widest.")
    return notes
