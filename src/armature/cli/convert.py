"""`armature convert`: the same weights in the other layout."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Layout(StrEnum):
    """Whose key names and files to write."""

    DIFFUSERS = "diffusers"
    ORIGINAL = "original"


def convert(
    file: Annotated[str, typer.Argument(help="Adapter file or folder, hub id, or embedded:KIND.")],
    out: Annotated[Path, typer.Argument(help="Folder for diffusers, .safetensors file for original.")],
    to: Annotated[Layout, typer.Option(help="Layout to write.")],
    kind: Annotated[str | None, typer.Option(help="The kind of control, where the file does not say.")] = None,
    channels: Annotated[int | None, typer.Option(help="Input channels, where the keys leave them open.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace what is there.")] = False,
) -> None:
    """Convert an adapter to another format.

    Between diffusers' folder and the authors' single file, bit for bit."""
    from armature.checkpoints.convert import convert_checkpoint

    print(convert_checkpoint(file, out, to=to.value, kind=kind, in_channels=channels, force=force))
