"""`armature inspect`: what a file is: an adapter, or a picture that carries its settings."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from armature.checkpoints.inspect import Inspection


def inspect(
    file: Annotated[str, typer.Argument(help="Adapter file or folder, hub id, or embedded:KIND; or a PNG.")],
    json: Annotated[bool, typer.Option("--json", help="Print JSON for a script.")] = False,
    kind: Annotated[str | None, typer.Option(help="The kind of control, where the file does not say.")] = None,
    channels: Annotated[int | None, typer.Option(help="Input channels, where the keys leave them open.")] = None,
    revision: Annotated[str | None, typer.Option(help="Branch, tag or commit on the hub.")] = None,
    subfolder: Annotated[str | None, typer.Option(help="Folder inside the repository.")] = None,
    variant: Annotated[str | None, typer.Option(help="For example fp16.")] = None,
) -> None:
    """Show what an adapter or a picture says of itself.

    Of an adapter kind, family of bases, size, input contract, format, metadata; of a picture the settings behind it.
    """
    if Path(file).suffix.lower() == ".png":
        _picture(file, json)
        return
    from armature.checkpoints.inspect import inspect as inspect_file

    inspection = inspect_file(
        file, kind=kind, in_channels=channels, revision=revision, subfolder=subfolder, variant=variant
    )
    if json:
        print(json_module.dumps(inspection.to_dict(), indent=2, sort_keys=True))
        return
    _print([("file", file), *rows(inspection)])


def _picture(file: str, as_json: bool) -> None:
    """The settings that a generated picture carries."""
    from armature.generation.record import read_settings

    record = read_settings(file).to_record()
    if as_json:
        print(json_module.dumps(record, indent=2, sort_keys=True))
        return
    lines = [("file", file)]
    for name, value in record.items():
        if name == "controls":
            lines += [(f"control {one['kind']}", _record_words(one)) for one in value]
        elif value not in ("", {"name": "", "sha256": ""}) and name not in ("version", "kind", "software"):
            lines.append((name, value["name"] if isinstance(value, dict) else str(value)))
    _print(lines)


def _record_words(control: dict[str, Any]) -> str:
    """A control of a record in one line."""
    plain = {name: value["name"] if isinstance(value, dict) else _words(value) for name, value in control.items()}
    return "; ".join(f"{name} {value}" for name, value in plain.items() if value and name != "kind")


def _print(lines: list[tuple[str, str]]) -> None:
    table = Table(show_header=False, box=None)
    for name, value in lines:
        table.add_row(_plain(name, "bold"), _plain(value))
    Console().print(table)


def _plain(text: str, style: str = "") -> Text:
    """Text as it is: a file's metadata must neither style the table nor steer the terminal."""
    return Text("".join(letter if letter.isprintable() else " " for letter in text), style)


def rows(inspection: Inspection) -> list[tuple[str, str]]:
    """Name and text of every line of the table."""
    from armature.bases.families import family_title

    contract = inspection.contract
    lines: list[tuple[str, Any]] = [
        ("kind", inspection.kind or "unknown"),
        ("family", family_title(inspection.family)),
        ("network", f"{inspection.network}, takes {inspection.takes}"),
        ("parameters", f"{inspection.parameters / 1e6:.2f} M"),
    ]
    lines += [(name.replace("_", " "), _words(value)) for name, value in inspection.structure.items()]
    if inspection.tokens is not None:
        lines.append(("gives", f"{inspection.tokens[0]} tokens of width {inspection.tokens[1]}"))
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
    files = f"{len(inspection.files)} file{'s' if len(inspection.files) > 1 else ''}"
    lines += [
        ("format", f"{inspection.format}, {inspection.layout} keys"),
        ("precision", ", ".join(inspection.dtypes)),
        ("size", f"{inspection.size / 1e6:.1f} MB in {files}"),
    ]
    lines += [(f"read by {program}", text) for program, text in inspection.readers.items()]
    lines += [(f"metadata: {name}", value) for name, value in inspection.metadata.items()]
    lines += [("note", note) for note in inspection.notes]
    return [(name, str(value)) for name, value in lines]


def _words(value: Any) -> str:
    """A number of a network's structure as a person reads it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
