"""Say what a file is, without building it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from armature.checkpoints.checkpoint import Checkpoint, read_checkpoint
from armature.checkpoints.config import diffusers_obstacle
from armature.conditions.contract import InputContract


@dataclass(frozen=True)
class Inspection:
    """Everything that Armature knows about an adapter's file.

    parameters: number of weights. channels: width per level. stride: pixels per stem position and side.
    dtypes: precisions in the file. format: "safetensors" or "torch". layout: "original" or "diffusers" key names.
    notes: what a person should know: assumptions, NaN weights, programs that cannot read it.
    """

    source: str
    kind: str | None
    family: str | None
    network: str
    parameters: int
    in_channels: int
    channels: tuple[int, ...]
    blocks: int
    stride: int
    contract: InputContract | None
    format: str
    layout: str
    dtypes: tuple[str, ...]
    files: tuple[str, ...]
    size: int
    metadata: Mapping[str, Any]
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON-ready values."""
        return asdict(self)


def inspect_checkpoint(
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
    Raises CheckpointError for anything that is not a spatial adapter.
    """
    checkpoint = read_checkpoint(
        source, kind=kind, in_channels=in_channels, revision=revision, subfolder=subfolder, variant=variant
    )
    spec, card = checkpoint.spec, checkpoint.card
    return Inspection(
        source=str(source),
        kind=card.kind,
        family=card.family,
        network=spec.network,
        parameters=checkpoint.parameters,
        in_channels=spec.in_channels,
        channels=spec.channels,
        blocks=spec.blocks,
        stride=spec.stride,
        contract=card.contract,
        format=checkpoint.format,
        layout=checkpoint.layout,
        dtypes=tuple(str(dtype).removeprefix("torch.") for dtype in checkpoint.dtypes),
        files=tuple(str(path) for path in checkpoint.files),
        size=sum(path.stat().st_size for path in checkpoint.files),
        metadata=card.metadata,
        notes=(*card.notes, *_notes(checkpoint)),
    )


def _notes(checkpoint: Checkpoint) -> list[str]:
    notes = []
    if broken := checkpoint.not_finite():
        notes.append(f"{len(broken)} tensors hold NaN or infinity ({broken[0]}...): this file cannot be used.")
    if len(checkpoint.dtypes) > 1:
        notes.append("The file mixes precisions; it loads in the widest.")
    if obstacle := diffusers_obstacle(checkpoint.spec):
        notes.append(f"It has no diffusers form: {obstacle}.")
    elif checkpoint.spec.network == "light" and checkpoint.layout == "diffusers":
        notes.append("ComfyUI and the A1111 extension read light adapters in the original layout only; convert it.")
    return notes
