"""`armature train`: from a recipe to an adapter."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from armature.cli.out_of_memory import smaller_training

if TYPE_CHECKING:
    from armature.training.plan import TrainingPlan


def _print_keys(wanted: bool) -> None:
    """Print the keys of a recipe and leave, before a recipe is asked for."""
    if not wanted:
        return
    from armature.training.recipe.describe import recipe_keys

    table = Table("key", "takes", "default", "meaning", box=None, padding=(0, 2, 0, 0))
    for key in recipe_keys().values():
        table.add_row(*(Text(words) for words in (key.name, key.expected, key.usual, key.meaning)))
    Console().print(table)
    raise typer.Exit


def train(
    recipe: Annotated[Path, typer.Argument(help="A TOML file; recipes/ holds some.")],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY=VALUE]...", help="Settings instead of the file's: data=FOLDER train.batch=4 ..."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the newest whole checkpoint.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check everything, print the plan, train and write nothing.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Take over the run folder of another training.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result, or the plan, as JSON.")] = False,
    help_keys: Annotated[
        bool, typer.Option("--help-keys", help="Print the keys of a recipe.", callback=_print_keys, is_eager=True)
    ] = False,
) -> None:
    """Train an adapter. Relative paths in the recipe start from the current folder."""
    from armature.training.recipe.load import load_recipe

    # Before anything heavy is imported: mistakes are told at once.
    settings = load_recipe(recipe, overrides or [])
    from armature.cli.quiet import quiet_libraries

    quiet_libraries()
    with smaller_training():
        if dry_run:
            # All processes of a launcher would say the same.
            if os.environ.get("RANK", "0") == "0":
                from armature.training.plan import plan_training

                _tell_plan(plan_training(settings), as_json)
            return
        from armature.training.train import run_training

        trained = run_training(settings, resume=resume, force=force, progress=not as_json)
    if trained.first:
        answer = {
            "adapter": str(trained.adapter),
            "steps": trained.state.step,
            "minutes": round(trained.state.minutes, 2),
        }
        typer.echo(json.dumps(answer) if as_json else str(trained.adapter))


def _tell_plan(plan: TrainingPlan, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(asdict(plan)))
        return
    table = Table(show_header=False, box=None)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, words in plan.in_words():
        # As text: names of files may look like rich's markup.
        table.add_row(name, Text(words))
    Console().print(table)
    for note in plan.notes:
        typer.echo(f"note: {note}", err=True)
