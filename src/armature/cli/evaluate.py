"""`armature evaluate`: how well an adapter's pictures follow their control, on samples it has not learned from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from armature.errors import RecipeError

if TYPE_CHECKING:
    from armature.evaluation.report import Report


def evaluate(
    adapter: Annotated[str, typer.Argument(help="Adapter file or folder, hub id, or embedded:KIND.")],
    data: Annotated[
        str, typer.Option(help="Folder of pictures with captions, shards, hub id of a data set, or 'toyworld'.")
    ],
    kind: Annotated[str | None, typer.Option(help="The kind of control, where the adapter does not say.")] = None,
    base: Annotated[
        str | None, typer.Option(help="Diffusers folder, hub id or single file. Else the embedded model.")
    ] = None,
    base_config: Annotated[
        str | None, typer.Option(help="For a single-file --base: diffusers folder with its configuration.")
    ] = None,
    count: Annotated[int, typer.Option(help="At most so many samples.")] = 200,
    steps: Annotated[int, typer.Option(help="Steps of the sampler.")] = 20,
    guidance: Annotated[float | None, typer.Option(help="Guidance scale. Else the base's.")] = None,
    seed: Annotated[int, typer.Option(help="Of the first sample; the next have seed + 1...")] = 0,
    batch: Annotated[int, typer.Option(help="Pictures drawn together.")] = 4,
    weight: Annotated[float, typer.Option(help="Of the control.")] = 1.0,
    size: Annotated[int | None, typer.Option(help="Side of the pictures in pixels. Else the base's own.")] = None,
    conditions: Annotated[
        str | None, typer.Option(help="Ready maps: a folder paired by name, a column, or a member ending.")
    ] = None,
    extractor: Annotated[str | None, typer.Option(help="What makes the maps, and reads the pictures.")] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder of the report. Else evaluation-KIND.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Measure how well an adapter controls.

    Without it, with it, and at best; writes report.json, report.md and sheet.png."""
    from armature.cli.quiet import quiet_libraries

    if out is not None and out.exists() and not out.is_dir():
        raise RecipeError(f"--out {out} is a file; a report is a folder. Choose another name.")
    quiet_libraries()
    from armature.evaluation.evaluate import evaluate as measure
    from armature.evaluation.evaluate import open_both

    loaded, kind, opened = open_both(adapter, base, base_config, kind)
    settings = _settings(data, size or max(opened.size), conditions, extractor)
    with _bar(hidden=as_json) as progress:
        report = measure(
            loaded,
            data=settings,
            base=opened,
            kind=kind,
            extractor=extractor,
            count=count,
            steps=steps,
            guidance=guidance,
            seed=seed,
            batch=batch,
            weight=weight,
            progress=progress,
        )
    paths = report.write(out or Path(f"evaluation-{report.kind}"))
    _tell(report, paths, as_json)


def _settings(source: str, side: int, conditions: str | None, extractor: str | None) -> Any:
    """What the options say about the data."""
    from pydantic import ValidationError

    from armature.data.settings import DataSettings

    try:
        return DataSettings.model_validate(
            {"source": source, "conditions": conditions, "extractor": extractor, "resolution": side}
        )
    except ValidationError as error:
        first = error.errors()[0]
        raise RecipeError(f"--data {source!r} or --size {side}: {first['msg']}.") from error


@contextmanager
def _bar(*, hidden: bool) -> Iterator[Any]:
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=hidden or not console.is_terminal, transient=True) as bar:
        task = bar.add_task("reading", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total, description="drawing")


def _tell(report: Report, paths: tuple[Path, ...], as_json: bool) -> None:
    if as_json:
        typer.echo(report.to_json(), nl=False)
        return
    for warning in report.warnings:
        typer.echo(f"warning: {warning}", err=True)
    name, figures = report.measure["name"], report.fidelity
    typer.echo(f"{name} without {figures['without']}, with {figures['with']}, ceiling {figures['ceiling']}")
    typer.echo(f"gap closed: {report.gap_closed or 'not defined: the ceiling is no better than nothing'}")
    for path in paths:
        typer.echo(str(path))
