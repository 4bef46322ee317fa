"""Rewrite an adapter's file in the other layout, bit for bit."""

from __future__ import annotations

from pathlib import Path

import torch

from armature.adapters.readers import Layout
from armature.adapters.registry import build_adapter
from armature.adapters.save import CONFIG_NAME, WEIGHTS_NAME, save_adapter
from armature.checkpoints.checkpoint import read_checkpoint
from armature.errors import CheckpointError


def convert_checkpoint(
    source: str | Path,
    out: str | Path,
    *,
    to: Layout,
    kind: str | None = None,
    in_channels: int | None = None,
    force: bool = False,
) -> Path:
    """Convert an adapter; the tensors keep their bits and precision, and what is known of it goes into the header.

    source, kind, in_channels: as load_adapter's. out: a folder for "diffusers", a .safetensors file for "original".
    force: replace what is there. Returns what was written.
    Raises CheckpointError for a source that is no intact adapter, a target that exists, and a network that diffusers
    cannot build; nothing is written then.
    """
    out = Path(out)
    if to not in ("diffusers", "original"):
        raise CheckpointError(f"Cannot convert to {to!r}; expected 'diffusers' or 'original'.")
    if to == "diffusers" and out.exists() and not out.is_dir():
        raise CheckpointError(f"{out} is a file; a diffusers adapter is a folder. Name another one.")
    targets = [out / WEIGHTS_NAME, out / CONFIG_NAME] if to == "diffusers" else [out]
    if not force and (there := [target for target in targets if target.exists()]):
        raise CheckpointError(f"{there[0]} exists already; nothing was written. Choose another name, or use --force.")
    checkpoint = read_checkpoint(source, kind=kind, in_channels=in_channels)
    if broken := checkpoint.not_finite():
        raise CheckpointError(f"{source} holds NaN or infinite weights ({broken[0]}); nothing was written.")
    with torch.device("meta"):
        adapter = build_adapter(checkpoint.spec, checkpoint.card)
    if to == "diffusers" and (obstacle := type(adapter).diffusers_obstacle(checkpoint.spec)):
        raise CheckpointError(f"This adapter has no diffusers form: {obstacle}. Convert it to the original layout.")
    return save_adapter(adapter, out, layout=to, tensors=checkpoint.tensors)
