"""`armature extract`: a picture or a folder of pictures into condition maps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from armature.cli.control_spec import parse_size
from armature.conditions.extractor import Extractor
from armature.conditions.folder import FolderReport, Job, extract_file, extract_folder
from armature.conditions.registry import find_extractor
from armature.errors import ConditionError

# As shells tell a program that Ctrl-C ended.
INTERRUPTED = 130


def extract(
    kind: Annotated[
        str,
        typer.Argument(
            help="Extractor or kind: canny, sketch, depth, embedded:depth...; see `armature list extractors`."
        ),
    ],
    picture: Annotated[Path | None, typer.Argument(help="A picture, or a folder of pictures.")] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="The map, or the folder for the maps.")] = None,
    option: Annotated[
        list[str] | None, typer.Option("--set", "-s", help="An option of the extractor, name=value; repeatable.")
    ] = None,
    size: Annotated[str | None, typer.Option(help="Fit pictures to WxH pixels first.")] = None,
    fit: Annotated[str, typer.Option(help="How: resize, crop, pad or stretch.")] = "resize",
    jobs: Annotated[int, typer.Option("--jobs", "-j", help="Processes for a folder.")] = 1,
    force: Annotated[bool, typer.Option(help="Make maps anew that are up to date.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Turn pictures into condition maps.

    IMAGE is one picture, or a folder of which every picture is taken."""
    extractor = find_extractor(kind)
    if picture is None or out is None:
        missing = "PICTURE" if picture is None else "--out MAP"
        raise ConditionError(f"{missing} is missing; usage: armature extract KIND PICTURE --out MAP.")
    if fit not in ("resize", "crop", "pad", "stretch"):
        raise ConditionError(f"Unknown fit {fit!r}; expected resize, crop, pad or stretch.")
    job = Job(kind, parse_options(extractor, option or []), parse_size(size), fit)
    if picture.is_dir():
        try:
            report = _folder(job, picture, out, jobs, force, quiet=as_json)
        except KeyboardInterrupt:
            typer.echo("armature: stopped; maps that are done stay, and the same command makes the others.", err=True)
            raise typer.Exit(INTERRUPTED) from None
        _print_report(report, out, as_json)
        if report.failed:
            raise typer.Exit(1)
        return
    target = out / f"{picture.stem}.png" if out.is_dir() else out
    if target.suffix.lower() != ".png":
        raise ConditionError(f"Maps are written as PNG, which keeps every value; --out is {str(target)!r}.")
    extractor.settings(job.options)  # wrong options are told before a folder is made
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConditionError(f"No map can be written at {str(target)[:200]!r} ({error.strerror}).") from error
    notes = extract_file(job, picture, target)
    if as_json:
        typer.echo(json.dumps({"written": str(target), "notes": notes}))
        return
    for note in notes:
        typer.echo(f"  {note}", err=True)
    typer.echo(str(target))


def parse_options(extractor: Extractor, given: list[str]) -> dict[str, object]:
    """Options written as name=value; raises ConditionError for one without '='."""
    known = {option.name: option for option in extractor.options}
    options: dict[str, object] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise ConditionError(f"--set {text!r} is not name=value; options of {extractor.name}: {', '.join(known)}.")
        options[name] = known[name].parse(value) if name in known else value
    return options


def _folder(job: Job, folder: Path, out: Path, jobs: int, force: bool, *, quiet: bool) -> FolderReport:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=quiet) as bar:
        task = bar.add_task(job.kind, total=None)
        return extract_folder(
            job,
            folder,
            out,
            jobs=jobs,
            force=force,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )


def _print_report(report: FolderReport, out: Path, as_json: bool) -> None:
    if as_json:
        failed = [{"picture": str(path), "message": message} for path, message in report.failed]
        notes = [{"picture": str(path), "notes": told} for path, told in report.notes]
        counts = {"written": len(report.written), "kept": len(report.kept)}
        typer.echo(json.dumps({**counts, "failed": failed, "notes": notes}))
        return
    typer.echo(f"{len(report.written)} written, {len(report.kept)} up to date, {len(report.failed)} failed: {out}")
    for path, message in report.failed:
        typer.echo(f"  {path}: {message}", err=True)
    for path, told in report.notes:
        typer.echo(f"  {path}: {' '.join(told)}", err=True)
