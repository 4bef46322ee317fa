"""Rewrite an adapter's file in the other layout, bit for bit."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from armature.checkpoints.checkpoint import read_checkpoint
from armature.checkpoints.config import diffusers_config
from armature.checkpoints.save import CONFIG_NAME, WEIGHTS_NAME, write_folder, write_original
from armature.errors import CheckpointError

Target = Literal["diffusers", "original"]


def convert_checkpoint(
    source: str | Path,
    out: str | Path,
    *,
    to: Target,
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
    if to == "original":
        return write_original(checkpoint.tensors, checkpoint.spec, checkpoint.card, out)
    diffusers_config(checkpoint.spec)  # raises for a network that diffusers cannot build
    return write_folder(checkpoint.tensors, checkpoint.spec, checkpoint.card, out)
