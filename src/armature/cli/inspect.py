"""`armature inspect`: what a file is."""

from __future__ import annotations

import json as json_module
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from armature.checkpoints.inspect import Inspection


def inspect(
    file: Annotated[str, typer.Argument(help="Adapter file or folder, hub id, or embedded:KIND.")],
    json: Annotated[bool, typer.Option("--json", help="Print JSON for a script.")] = False,
    kind: Annotated[str | None, typer.Option(help="The kind of control, where the file does not say.")] = None,
    channels: Annotated[int | None, typer.Option(help="Input channels, where the keys leave them open.")] = None,
    revision: Annotated[str | None, typer.Option(help="Branch, tag or commit on the hub.")] = None,
    subfolder: Annotated[str | None, typer.Option(help="Folder inside the repository.")] = None,
    variant: Annotated[str | None, typer.Option(help="For example fp16.")] = None,
) -> None:
    """Show an adapter's kind, base family, size, input contract, format and metadata."""
    from armature.checkpoints.inspect import inspect_checkpoint

    found = inspect_checkpoint(
        file, kind=kind, in_channels=channels, revision=revision, subfolder=subfolder, variant=variant
    )
    if json:
        print(json_module.dumps(found.to_dict(), indent=2, sort_keys=True))
        return
    table = Table(show_header=False, box=None)
    for name, value in [("file", file), *rows(found)]:
        table.add_row(_plain(name, "bold"), _plain(value))
    Console().print(table)


def _plain(text: str, style: str = "") -> Text:
    """Text as it is: a file's metadata must neither style the table nor steer the terminal."""
    return Text("".join(letter if letter.isprintable() else " " for letter in text), style)


def rows(found: Inspection) -> list[tuple[str, str]]:
    """Name and text of every line of the table."""
    contract = found.contract
    lines: list[tuple[str, Any]] = [
        ("kind", found.kind or "unknown"),
        ("family", {"sd": "SD 1.x / 2.x", "sdxl": "SDXL"}.get(found.family or "", "unknown")),
        ("network", found.network),
        ("parameters", f"{found.parameters / 1e6:.2f} M"),
        ("input channels", found.in_channels),
        ("level widths", ", ".join(map(str, found.channels))),
        ("blocks per level", found.blocks),
        ("stride", found.stride),
    ]
    if contract is not None:
        lines += [
            ("channel order", contract.order),
            ("range", f"{contract.range[0]:g} to {contract.range[1]:g}"),
            ("polarity", contract.polarity or "none"),
            ("binarised at", "no" if contract.binarize is None else f"{contract.binarize:g}"),
            ("map", contract.description),
        ]
        if contract.palette is not None:
            lines.append(("palette", contract.palette))
    lines += [
        ("format", f"{found.format}, {found.layout} keys"),
        ("precision", ", ".join(found.dtypes)),
        ("size", f"{found.size / 1e6:.1f} MB in {len(found.files)} file{'s' if len(found.files) > 1 else ''}"),
    ]
    lines += [(f"metadata: {name}", value) for name, value in found.metadata.items()]
    lines += [("note", note) for note in found.notes]
    return [(name, str(value)) for name, value in lines]
