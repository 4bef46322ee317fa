"""`armature prepare`: encode a recipe's data once, before training."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from armature.cli.out_of_memory import smaller_training


def prepare(
    recipe: Annotated[Path, typer.Argument(help="A TOML file; recipes/ holds some.")],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY=VALUE]...", help="Settings instead of the file's: data=FOLDER ..."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Fill the cache of a recipe, which `train` then finds; an interrupted preparation is continued."""
    from armature.training.recipe.load import load_recipe

    settings = load_recipe(recipe, overrides or [])
    from armature.cli.quiet import quiet_libraries

    quiet_libraries()
    from armature.training.prepare_data import prepare_data

    with smaller_training():
        prepared = prepare_data(settings, progress=not as_json)
    if not prepared.first:
        return
    if as_json:
        typer.echo(json.dumps({name: value for name, value in asdict(prepared).items() if name != "first"}))
        return
    words = f"{prepared.samples} samples, {prepared.held_out} of them held out, {len(prepared.bad)} left out"
    typer.echo(f"{words}: {' and '.join(prepared.cache)}")
    for key, reason in prepared.bad.items():
        typer.echo(f"  {key}: {reason}", err=True)
